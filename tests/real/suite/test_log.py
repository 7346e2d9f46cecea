"""The log: one row for every request, with what the client saw."""

import openai
import pytest

from asks import MESSAGES, MODEL, options, sampling

pytestmark = pytest.mark.gateway


def check(row, answer_tokens, prompt_tokens, **expected):
    assert row["completion_tokens"] == answer_tokens, row
    assert row["prompt_tokens"] == prompt_tokens, row
    assert row["total_tokens"] == answer_tokens + prompt_tokens, row
    assert row["ending"] == "complete" and row["status_code"] == 200, row
    assert row["latency_ms"] >= 0 and row["bytes_out"] > 0, row
    assert not row["fallback_used"] and row["error_message"] is None, row
    for key, value in expected.items():
        assert row[key] == value, (key, row)


def test_an_openai_request_is_one_row(front):
    watch = front.watch()
    raw = front.openai().chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES, **sampling(6, seed=101)
    )
    usage = raw.parse().usage
    row = watch.row()
    check(row, 6, usage.prompt_tokens, streamed=0, path="/v1/chat/completions", attempts=1)
    assert row["id"] == raw.headers["x-request-id"]
    assert row["model_requested"] == MODEL
    assert row["model_used"].rpartition("/")[2] in ("tiny", "tiny:latest")
    assert row["dialect"] == "openai" and row["method"] == "POST"


@pytest.mark.parametrize("asked", [True, False], ids=["usage asked", "usage not asked"])
def test_an_openai_stream_is_one_row_with_the_tokens(front, asked):
    """A client that did not ask for usage does not see it, and the log has it all the same."""
    watch = front.watch()
    more = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(
        front.openai().chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, **sampling(7, seed=102 + asked), **more
        )
    )
    row = watch.row()
    prompt = chunks[-1].usage.prompt_tokens if asked else row["prompt_tokens"]
    assert prompt > 0
    check(row, 7, prompt, streamed=1)
    assert 0 <= row["first_byte_ms"] <= row["latency_ms"]


def test_an_ollama_stream_is_one_row_with_the_tokens(front):
    watch = front.watch()
    client = front.ollama()
    last = list(client.chat(MODEL, MESSAGES, stream=True, options=options(8, seed=104)))[-1]
    row = watch.row()
    check(row, last.eval_count, last.prompt_eval_count, streamed=1, path="/api/chat")
    assert row["dialect"] == "ollama" and last.eval_count == 8


def test_an_ollama_answer_is_one_row_with_the_tokens(front):
    watch = front.watch()
    answer = front.ollama().generate(MODEL, "hi", options=options(9, seed=105))
    row = watch.row()
    check(row, 9, answer.prompt_eval_count, streamed=0, path="/api/generate")


def test_embeddings_are_one_row_each(front):
    watch = front.watch()
    by_openai = front.openai().embeddings.create(model=MODEL, input="logged once")
    by_ollama = front.ollama().embed(MODEL, "logged twice")
    rows = watch.rows(2)
    assert [row["path"] for row in rows] == ["/v1/embeddings", "/api/embed"]
    assert rows[0]["prompt_tokens"] == by_openai.usage.prompt_tokens
    assert rows[1]["prompt_tokens"] == by_ollama.prompt_eval_count
    assert [row["ending"] for row in rows] == ["complete", "complete"]


def test_a_refusal_is_one_row_that_is_not_a_success(front):
    watch = front.watch()
    with pytest.raises(openai.NotFoundError):
        front.openai().chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert front.call("POST", "/api/chat", b"{").status == 400
    missing, broken = watch.rows(2)
    assert (missing["status_code"], missing["model_requested"]) == (404, "no-such-model")
    assert broken["status_code"] == 400
    for row in (missing, broken):
        assert row["ending"] == "failed" and row["error_message"], row


def test_many_requests_are_as_many_rows(main):
    watch = main.watch()
    for number in range(20):
        main.ollama().generate(MODEL, "hi", options=options(1, seed=200 + number))
    ids = {row["id"] for row in watch.rows(20)}
    assert len(ids) == 20


def test_a_repeated_question_is_answered_from_the_cache_and_logged_so(main):
    ask = dict(model=MODEL, messages=MESSAGES, max_tokens=5, temperature=0, seed=300)
    watch = main.watch()
    client = main.openai()
    first, again = (
        client.chat.completions.with_raw_response.create(**ask) for _ in range(2)
    )
    assert first.headers["x-unigate-cache"].lower() == "miss"
    assert again.headers["x-unigate-cache"].lower() == "hit"
    assert "age" in again.headers and "hit" in again.headers["cache-status"]
    assert again.parse().choices == first.parse().choices
    assert again.parse().usage == first.parse().usage
    text = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(stream=True, **ask)
        if chunk.choices
    )
    assert text == first.parse().choices[0].message.content
    assert [row["cache"] for row in watch.rows(3)] == ["miss", "hit", "hit"]
