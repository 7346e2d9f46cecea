"""What the scripted models do, whichever dialect they are asked in: a question in, a scene out.

A model is a scene: its name says how it answers. All dialects play the same scenes, so a client must
see the same thing whatever stands behind the gateway.
"""

import dataclasses
import hashlib
import json

# Letters of two to four bytes, line separators that some clients take for the end of a line, and an
# end of stream inside the text.
TEXT = 'Grüße 🦀, a line\u2028separator\u0085, <b> & "quotes",\n\ndata: [DONE]\n\nthe end.'
# The calls of the scene `calls`. Neither in alphabetical order nor in that of the schema, and with an
# integer that no double holds: who reads and writes arguments as plain maps loses one or the other.
CALLS = [
    ("weather", '{"unit":"C","city":"Zürich","days":[2,1]}'),
    ("count", '{"zeta":12345678901234567890,"alpha":{"d":true,"c":"x\\"y\\\\z"}}'),
]
# What JavaScript can hold: its clients parse the arguments, and no gateway sees what is lost there.
SMALL_CALLS = [CALLS[0], ("count", '{"zeta":7,"alpha":{"d":true,"c":"x\\"y\\\\z"}}')]
LOOKING = "Let me look."
FELL = "the model fell over"
# Input tokens in all, those of them that came from a cache, and output tokens.
INPUT, CACHED, OUTPUT = 11, 4, 7
SCENES = (
    "says",  # a text
    "hears",  # what it understood, as JSON
    "calls",  # two calls at once; with their results, what it read in them
    "calls-small",
    "thinks",  # a thought with the effort that was asked for, and a text
    "shapes",  # something that fits the schema; 400 without one
    "sees",  # the SHA-256 of every image
    "truncates",  # a text that stops at the limit
    "breaks",  # an error after two pieces; 500 when not streamed
    "cuts",  # the same, but the stream just ends
    "embeds",
)
# Refusals by model name: status, text, headers.
REFUSALS = {
    "refuses-400": (400, "that is no question", {}),
    "refuses-401": (401, "that is no key", {}),
    "refuses-429": (429, "slow down", {"retry-after": "17"}),
    "refuses-500": (500, FELL, {}),
    "refuses-529": (529, "Overloaded", {}),
}


class Refusal(Exception):
    """An answer that is an error, before anything else was sent."""

    def __init__(self, status, message, headers=None):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


def check(condition, message, status=400):
    """Refuses what a real provider would refuse."""
    if not condition:
        raise Refusal(status, message)


@dataclasses.dataclass
class Asked:
    """A question, without its dialect."""

    model: str
    system: str = ""
    user: str = ""  # the text of the last turn of the user
    roles: list = dataclasses.field(default_factory=list)
    images: list = dataclasses.field(default_factory=list)  # bytes, of the last turn of the user
    tools: list = dataclasses.field(default_factory=list)  # names; empty when none may be used
    forced: str = ""  # "any", or the name of a tool
    calls: list = dataclasses.field(default_factory=list)  # (name, arguments as JSON, result)
    schema: dict | None = None
    effort: str = ""  # "", "none", "on" or a level
    limit: int | None = None
    stop: list = dataclasses.field(default_factory=list)
    temperature: float | None = None
    seed: int | None = None


@dataclasses.dataclass
class Said:
    """An answer, without its dialect."""

    text: str = ""
    thought: str = ""
    calls: list = dataclasses.field(default_factory=list)  # (name, arguments as JSON)
    ending: str = "stop"  # "stop", "length" or "calls"
    broken: str = ""  # "error" or "cut": how the answer ends early


def play(asked):
    """The scene that the model's name asks for."""
    scene = asked.model
    if scene in REFUSALS:
        raise Refusal(*REFUSALS[scene])
    if scene not in SCENES:
        raise Refusal(404, f"model '{scene}' not found")
    thought = f"Thinking ({asked.effort})." if asked.effort not in ("", "none") else ""
    if scene == "says":
        return Said(TEXT)
    if scene == "hears":
        return Said(heard(asked))
    if scene.startswith("calls"):
        return calls(asked, SMALL_CALLS if scene == "calls-small" else CALLS, thought)
    if scene == "thinks":
        return Said("Therefore.", thought)
    if scene == "shapes":
        check(asked.schema is not None, "no schema came")
        return Said(json.dumps(sample(asked.schema, asked.schema), ensure_ascii=False))
    if scene == "sees":
        check(asked.images, "no image came")
        return Said(" ".join(hashlib.sha256(image).hexdigest() for image in asked.images))
    if scene == "truncates":
        return Said("This goes on and", ending="length")
    if scene in ("breaks", "cuts"):
        return Said("It begins well, and", broken="error" if scene == "breaks" else "cut")
    raise Refusal(400, f"{scene} does not support chat")


def heard(asked):
    """The question as JSON, without what was not given."""
    names = ("system", "user", "roles", "limit", "stop", "temperature", "seed", "forced")
    given = {name: getattr(asked, name) for name in names}
    return json.dumps({k: v for k, v in given.items() if v not in ("", None, [])}, ensure_ascii=False)


def calls(asked, wanted, thought):
    """Two calls, and a text once both results are there."""
    if asked.calls:
        given = [(name, ordered(arguments)) for name, arguments, _ in asked.calls]
        right = [(name, ordered(arguments)) for name, arguments in wanted]
        check(given == right, f"these are not the calls that were made: {asked.calls}")
        return Said("; ".join(f"{name}: {result}" for name, _, result in asked.calls), thought)
    if not asked.tools:
        return Said("I have no tools.")
    names = [name for name, _ in wanted]
    check(asked.tools == names, f"the tools are {asked.tools} and not {names}")
    if asked.forced in names:
        wanted = [call for call in wanted if call[0] == asked.forced]
    return Said(LOOKING, thought, wanted, "calls")


def script():
    """What the scenes say, for tests that are not written in Python."""
    calls = [{"name": name, "arguments": arguments} for name, arguments in CALLS]
    small = [{"name": name, "arguments": arguments} for name, arguments in SMALL_CALLS]
    fixed = {"text": TEXT, "looking": LOOKING, "fell": FELL, "input": INPUT, "output": OUTPUT}
    return fixed | {"calls": calls, "smallCalls": small, "vector": vector("one")}


def ordered(text):
    """JSON read so that the order of keys and every digit counts."""
    return json.loads(text, object_pairs_hook=lambda pairs: ["{", *pairs], parse_float=str)


def sample(schema, root):
    """The simplest thing that fits a JSON schema, with the keys in its order."""
    if "$ref" in schema:
        found = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return sample(found, root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: sample(inner, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"], root)]
    simple = {"string": "wörd", "integer": 7, "number": 1.5, "boolean": True, "null": None}
    check(kind in simple, f"unknown type {kind} in the schema")
    return simple[kind]


def pieces(text, size=5):
    """A text as a model would stream it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def vector(text):
    """Four numbers for a text, of length one."""
    raw = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:4]]
    length = sum(x * x for x in raw) ** 0.5
    return [x / length for x in raw]
