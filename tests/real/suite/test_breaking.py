"""Ollama's model process dies in the middle of an answer: nobody takes the piece for the whole."""

import ollama
import openai
import pytest

from asks import MESSAGES, MODEL, options, sampling
from conftest import wait_for

LONG = 100_000


def break_after(pieces, runner, count=5):
    """Reads `count` pieces, ends the processes of the model, and reads on to whatever comes."""
    text = []
    for number, piece in enumerate(pieces):
        text.append(piece)
        if number == count:
            runner.stop()
    return text


def served_again(front):
    """Ollama starts the model again by itself."""

    def ask():
        try:
            return front.ollama().chat(MODEL, MESSAGES, options=options(2)).done
        except ollama.ResponseError:
            return False

    wait_for(ask, "the model to be back", seconds=20)


def check_row(watch):
    row = watch.row()
    assert row["ending"] == "failed" and row["error_message"], row
    assert row["status_code"] == 200, row  # it was sent before the accident
    assert not row["fallback_used"], row  # too late for that


def test_an_ollama_client_is_told(front, runner):
    watch = front.watch() if front.database else None
    stream = front.ollama().chat(MODEL, MESSAGES, stream=True, options=options(LONG))
    with pytest.raises(ollama.ResponseError):
        break_after(stream, runner)
    if watch:
        check_row(watch)
    served_again(front)


@pytest.mark.gateway
def test_an_openai_client_is_told(main, runner):
    """Ollama's own /v1 says nothing and just ends, so only where its native API is spoken."""
    watch = main.watch()
    stream = main.openai().chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, **sampling(LONG)
    )
    with pytest.raises(openai.APIError):
        break_after(stream, runner)
    check_row(watch)
    served_again(main)


@pytest.mark.gateway
def test_an_answer_that_ends_early_is_logged_as_failed_where_bytes_are_passed(crossed, runner):
    """Ollama's own /v1 swallows the error; the missing `[DONE]` tells."""
    watch = crossed.watch()
    stream = crossed.openai().chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, **sampling(LONG)
    )
    try:
        break_after(stream, runner)
    except openai.OpenAIError:
        pass  # better still
    row = watch.row()
    assert row["ending"] == "failed", row
    served_again(crossed)
