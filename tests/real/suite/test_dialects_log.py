"""The log of translated answers: one row each, with the tokens, and no success that was none."""

import os
import uuid

import pytest
from openai import NotFoundError

from conftest import Watch, wait_for
from dialects import CACHED, DIALECTS, INPUT, OUTPUT, TEXT, targets

pytestmark = pytest.mark.gateway
ASK = [{"role": "user", "content": "go"}]


def openai(target, scene):
    chunks = target.openai().chat.completions.create(model=target.model(scene), messages=ASK, stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]


def responses(target, scene):
    events = target.openai().responses.create(model=target.model(scene), input="go", stream=True)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def ollama(target, scene):
    return [part.message.content for part in target.ollama().chat(target.model(scene), ASK, stream=True)]


def anthropic(target, scene):
    with target.anthropic().messages.stream(model=target.model(scene), messages=ASK, max_tokens=50) as stream:
        return list(stream.text_stream)


def watch_from_now(target):
    """Rows of earlier tests may still be on their way; behind that of an unknown model none is."""
    watch, name = Watch(os.environ["DIALECTS_DB"]), f"{target.upstream}ish/{uuid.uuid4()}"
    (by_openai,) = targets("openai", (target.upstream,))
    with pytest.raises(NotFoundError):
        by_openai.openai().chat.completions.create(model=name, messages=ASK)
    wait_for(lambda: [row for row in watch.new() if row["model_requested"] == name], "the row of the unknown model")
    return Watch(os.environ["DIALECTS_DB"])


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("ask", [openai, responses, ollama, anthropic], ids=lambda ask: ask.__name__)
def test_every_stream_is_a_row_that_tells_how_it_ended(ask, upstream):
    client = "openai" if ask is responses else ask.__name__
    (target,) = targets(client, (upstream,))
    watch = watch_from_now(target)
    assert "".join(ask(target, "says")) == TEXT
    for scene in ("breaks", "cuts"):
        with pytest.raises(Exception):  # noqa: B017, which one is tested elsewhere
            ask(target, scene)
    rows = watch.rows(3)
    assert [row["ending"] for row in rows] == ["complete", "failed", "failed"], rows
    assert [row["status_code"] for row in rows] == [200, 200, 200], rows  # sent before the accident
    assert (rows[0]["prompt_tokens"], rows[0]["completion_tokens"]) == (INPUT, OUTPUT), rows[0]
    assert rows[0]["provider"] == f"{upstream}ish" and rows[0]["streamed"] == 1, rows[0]
    assert (rows[0]["cached_tokens"] or 0) == (0 if upstream == "ollama" else CACHED), rows[0]
    assert rows[1]["error_message"] and rows[2]["error_message"], rows
