"""Ollama's own Python client, and curl as Ollama's documentation uses it."""

import datetime
import math
import time
import urllib.request

import pytest

from asks import FRESH, MESSAGES, MODEL, options, truth

# One line of the answer must not be cut at this: Python's line reader would.
SEPARATOR = "\u2028"


def test_chat_unstreamed_is_the_answer_of_ollama(front, direct):
    answer = front.ollama().chat(MODEL, MESSAGES, options=options())
    expected = truth(direct)
    assert answer.message.role == "assistant"
    assert answer.message.content == expected["message"]["content"]
    assert answer.done is True and answer.done_reason == "length"
    assert (answer.eval_count, answer.prompt_eval_count) == (24, expected["prompt_eval_count"])
    assert answer.model == MODEL
    assert answer.total_duration > 0 and answer.eval_duration > 0


def test_chat_streamed_is_the_same_text_in_pieces(front, direct):
    client = front.ollama(headers=FRESH)
    parts = list(client.chat(MODEL, MESSAGES, stream=True, options=options()))
    expected = truth(direct)
    assert "".join(p.message.content for p in parts) == expected["message"]["content"]
    assert len(parts) > 10
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True]
    assert all(p.message.role == "assistant" for p in parts)
    assert parts[-1].done_reason == "length"
    assert (parts[-1].eval_count, parts[-1].prompt_eval_count) == (24, expected["prompt_eval_count"])
    assert all(p.eval_count is None for p in parts[:-1])


def test_a_line_separator_in_the_text_does_not_break_the_stream(front, direct):
    seed, expected = next(
        (seed, answer["message"]["content"])
        for seed in range(100)
        if SEPARATOR in (answer := truth(direct, tokens=60, seed=seed))["message"]["content"]
    )
    parts = front.ollama().chat(MODEL, MESSAGES, stream=True, options=options(60, seed))
    assert "".join(part.message.content for part in parts) == expected


def test_generate_streamed_and_not_agree(front):
    client = front.ollama()
    whole = client.generate(MODEL, "once upon a time", options=options())
    parts = list(client.generate(MODEL, "once upon a time", stream=True, options=options()))
    assert whole.response and whole.done_reason == "length" and whole.eval_count == 24
    assert "".join(part.response for part in parts) == whole.response
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].eval_count == whole.eval_count
    assert parts[-1].prompt_eval_count == whole.prompt_eval_count > 0


def test_a_system_prompt_reaches_the_model(front):
    client = front.ollama()
    plain = client.generate(MODEL, "hi", options=options())
    guided = client.generate(MODEL, "hi", system="be a pirate", options=options())
    assert guided.prompt_eval_count > plain.prompt_eval_count


def test_streaming_is_the_default_and_no_content_type_is_needed(front):
    """As `curl -d` does it: the body is JSON whatever the header says."""
    body = b'{"model":"tiny","messages":[{"role":"user","content":"hi"}],"options":{"num_predict":5}}'
    answer = front.call(
        "POST", "/api/chat", body, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.lines()
    assert len(lines) > 1 and lines[-1]["done"] is True
    for line in lines:
        assert datetime.datetime.fromisoformat(line["created_at"][:19] + "+00:00")
        assert line["model"] == MODEL and "error" not in line


def test_tokens_come_one_by_one_and_not_all_at_the_end(front):
    """The first piece is here long before the last: nothing collects the answer."""
    request = urllib.request.Request(
        front.url + "/api/generate",
        data=b'{"model":"tiny","prompt":"hi","options":{"num_predict":400}}',
    )
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.readline()
        first = time.monotonic() - begun
        for line in answer:
            last = line
        total = time.monotonic() - begun
    assert b'"done":true' in last.replace(b" ", b"")
    assert first < total / 4, f"first line after {first:.2f} s of {total:.2f} s"


def test_a_stop_string_ends_the_answer_before_it(front, direct):
    expected = truth(direct)["message"]["content"]
    stop = expected[len(expected) // 2 :][:4]
    answer = front.ollama().chat(MODEL, MESSAGES, options=options(stop=[stop]))
    assert answer.message.content == expected[: expected.index(stop)]
    assert answer.done_reason == "stop"
    assert answer.eval_count < 24


def test_the_seed_decides_the_answer(front):
    client = front.ollama(headers=FRESH)

    def fresh(seed):
        return client.chat(MODEL, MESSAGES, options=options(seed=seed)).message.content

    assert fresh(11) == fresh(11)
    assert fresh(11) != fresh(12)


def test_embeddings_are_normalised_vectors_in_order(front):
    client = front.ollama()
    both = client.embed(MODEL, ["one", "a longer text"])
    assert len(both.embeddings) == 2 and both.prompt_eval_count > 0
    for vector in both.embeddings:
        assert len(vector) == 128
        assert math.isclose(sum(x * x for x in vector), 1.0, abs_tol=1e-4)
    alone = client.embed(MODEL, "a longer text").embeddings[0]
    assert alone == pytest.approx(both.embeddings[1], abs=1e-4)
    assert alone != pytest.approx(both.embeddings[0], abs=1e-2)


def test_the_old_embeddings_route_answers_one_vector(front):
    answer = front.ollama().embeddings(MODEL, "one")
    assert len(answer.embedding) == 128
    assert any(answer.embedding)


def test_the_list_has_what_strict_clients_need(front):
    models = front.call("GET", "/api/tags").json()["models"]
    names = [model["name"] for model in models]
    assert {"tiny:latest", "tinycoder:latest"} <= set(names)
    for model in models:
        assert model["model"] == model["name"]
        assert len(model["digest"]) == 64 and int(model["digest"], 16) >= 0
        assert isinstance(model["size"], int)
        assert datetime.datetime.fromisoformat(model["modified_at"][:19])
        details = model["details"]
        for key in ("parent_model", "format", "family", "parameter_size", "quantization_level"):
            assert isinstance(details[key], str), (model["name"], key)
        assert isinstance(details["families"], list), model["name"]
    assert front.ollama().list().models  # and the SDK's own types accept it


def test_show_has_capabilities_and_model_info(front):
    answer = front.call("POST", "/api/show", {"model": MODEL}).json()
    assert "completion" in answer["capabilities"]
    architecture = answer["model_info"]["general.architecture"]
    assert answer["model_info"][f"{architecture}.context_length"] > 0
    by_old_name = front.call("POST", "/api/show", {"name": MODEL})
    assert by_old_name.status == 200
    assert front.ollama().show(MODEL).details


def test_ps_and_version_answer(front):
    front.ollama().generate(MODEL, "hi", options=options(2))
    running = front.call("GET", "/api/ps").json()["models"]
    if front.name != "crossed":  # an OpenAI upstream does not say what it has in memory
        assert "tiny:latest" in [model["name"] for model in running]
    version = front.call("GET", "/api/version").json()["version"]
    assert all(part.isdigit() for part in version.split(".")[:3]), version
    assert front.call("HEAD", "/").status == 200
    assert front.call("GET", "/").body == b"Ollama is running"
    for path in ("/api/version", "/api/tags"):
        head = front.call("HEAD", path)
        assert head.status == 200 and head.body == b""
