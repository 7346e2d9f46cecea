"""Where each SDK is pointed in the tests of translation, and what must come back from there.

Every client asks every upstream dialect for the same scenes of the scripted upstream. Without a gateway
(`--direct`) each client asks the scripted upstream in its own dialect: is the script right?
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import struct
import sys
import zlib

import anthropic
import ollama
import openai
import pydantic

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "scripted"))
from scenes import CACHED, CALLS, FELL, INPUT, LOOKING, OUTPUT, TEXT, ordered, vector  # noqa: E402, F401

SCRIPTED = os.environ["SCRIPTED_URL"]
GATEWAY = os.environ.get("DIALECTS_URL", "")
# The keys of the scripted upstream; through the gateway a client has another one, which must stay there.
KEYS = {"openai": "sk-openaiish", "anthropic": "sk-anthropicish"}
DIALECTS = ("openai", "ollama", "anthropic")
MORE = {"max_retries": 0, "timeout": 20}


@dataclasses.dataclass(frozen=True)
class Target:
    """An upstream dialect, and how the SDK of a client dialect gets there."""

    client: str
    upstream: str
    direct: bool

    def model(self, scene):
        return scene if self.direct else f"{self.upstream}ish/{scene}"

    @property
    def url(self):
        if not self.direct:
            return GATEWAY
        return f"{SCRIPTED}/anthropic" if self.client == "anthropic" else SCRIPTED

    @property
    def key(self):
        return KEYS[self.client] if self.direct else "local"

    @functools.cache  # making a client costs more than most tests
    def openai(self, kind=openai.OpenAI):
        return kind(base_url=f"{self.url}/v1", api_key=self.key, **MORE)

    @functools.cache
    def anthropic(self, kind=anthropic.Anthropic):
        return kind(base_url=self.url, api_key=self.key, **MORE)

    @functools.cache
    def ollama(self, kind=ollama.Client):
        return kind(self.url, timeout=20)


def targets(client, upstreams=DIALECTS):
    """What a client dialect is tested against."""
    if not GATEWAY:
        return [Target(client, client, direct=True)]
    return [Target(client, upstream, direct=False) for upstream in upstreams]


def named(target):
    return target.upstream if not target.direct else "scripted"


# What the tools of the scene `calls` gave, in the order of its calls.
RESULTS = {"weather": "21 °C", "count": '{"n":12345678901234567890}'}
READ = "; ".join(f"{name}: {RESULTS[name]}" for name, _ in CALLS)
SCHEMAS = {
    "weather": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["city"],
    },
    "count": {
        "type": "object",
        "properties": {"alpha": {"type": "object"}, "zeta": {"type": "integer"}},
        "required": ["zeta"],
    },
}
OPENAI_TOOLS = [
    {"type": "function", "function": {"name": name, "description": f"the {name}", "parameters": schema}}
    for name, schema in SCHEMAS.items()
]
ANTHROPIC_TOOLS = [
    {"name": name, "description": f"the {name}", "input_schema": schema} for name, schema in SCHEMAS.items()
]


def same(arguments, name):
    """Whether these are the arguments of the script: every key in its place, every digit."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ordered(text) == ordered(dict(CALLS)[name])


def is_thought(text, effort, target):
    """Whether a thought shows the effort that was asked for. Anthropic's older models take a budget for it."""
    budget = re.fullmatch(r"Thinking \((\d+) tokens\)\.", text or "")
    return text == f"Thinking ({effort})." or (target.upstream == "anthropic" and int(budget[1]) >= 1024)


class City(pydantic.BaseModel):
    name: str


class Trip(pydantic.BaseModel):
    """A shape with an order, a nested one and a list."""

    where: City
    days: int
    notes: list[str]


FITS = Trip(where=City(name="wörd"), days=7, notes=["wörd"])


def png(red):
    """A picture of one pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes([0, red, 0, 0]))) + chunk(b"IEND", b"")


@contextlib.contextmanager
def told_after_the_beginning(pieces, *errors):
    """The block raises one of `errors`, and it had got a piece of the answer before."""
    try:
        yield
    except errors:
        assert "It begins" in "".join(pieces), "the error came before the answer"
        return
    raise AssertionError(f"a broken answer of {pieces} looks whole")
