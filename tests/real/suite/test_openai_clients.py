"""OpenAI's Python client, pointed here by nothing but a base URL and a key, and raw event streams."""

import base64
import struct

import pytest

from asks import FRESH, MESSAGES, MODEL, sampling, truth


def test_chat_unstreamed_is_the_answer_of_ollama(front, direct):
    answer = front.openai().chat.completions.create(model=MODEL, messages=MESSAGES, **sampling())
    expected = truth(direct)
    choice = answer.choices[0]
    assert choice.message.content == expected["message"]["content"]
    assert choice.message.role == "assistant" and choice.finish_reason == "length"
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.usage.prompt_tokens == expected["prompt_eval_count"]
    assert answer.usage.completion_tokens == 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 24


def test_chat_streamed_is_the_same_text_in_pieces(front, direct):
    stream = front.openai().chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=FRESH,
        **sampling(),
    )
    chunks = list(stream)
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 24
    body = chunks[:-1]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in body)
    assert text == truth(direct)["message"]["content"]
    assert len(body) > 10
    assert len({chunk.id for chunk in chunks}) == 1
    finishes = [chunk.choices[0].finish_reason for chunk in body]
    assert finishes[-1] == "length" and not any(finishes[:-1])


def test_usage_is_not_sent_to_a_client_that_did_not_ask(front):
    body = {"model": MODEL, "messages": MESSAGES, "stream": True, **sampling(5)}
    answer = front.call("POST", "/v1/chat/completions", body)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.events()
    assert events[-1] == "[DONE]"
    for event in events[:-1]:
        assert event["object"] == "chat.completion.chunk"
        assert len(event["choices"]) == 1 and not event.get("usage")


@pytest.mark.gateway
def test_the_accumulating_stream_helper_accepts_every_chunk(main, direct):
    """Ollama's own /v1 repeats the role in every chunk, and the helper adds the roles up."""
    expected = truth(direct)["message"]["content"]
    stop = expected[len(expected) // 2 :][:4]  # the helper raises for an answer cut by length
    with main.openai().chat.completions.stream(
        model=MODEL, messages=MESSAGES, stop=stop, **sampling()
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == "".join(pieces) == expected[: expected.index(stop)]
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.gateway
def test_max_completion_tokens_is_honoured(main):
    """Ollama's own /v1 ignores it, so this only holds where its native API is spoken."""
    answer = main.openai().chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=9, seed=3
    )
    assert answer.usage.completion_tokens == 9
    assert answer.choices[0].finish_reason == "length"


def test_stop_strings_end_the_answer_before_them(front, direct):
    expected = truth(direct)["message"]["content"]
    stop = expected[len(expected) // 2 :][:4]
    for given in (stop, [stop, "never said"]):
        answer = front.openai().chat.completions.create(
            model=MODEL, messages=MESSAGES, stop=given, **sampling()
        )
        assert answer.choices[0].message.content == expected[: expected.index(stop)]
        assert answer.choices[0].finish_reason == "stop"


def test_the_seed_decides_the_answer(front):
    def fresh(seed):
        answer = front.openai().chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            extra_headers=FRESH,
            **sampling(seed=seed),
        )
        return answer.choices[0].message.content

    assert fresh(11) == fresh(11)
    assert fresh(11) != fresh(12)


def test_content_parts_and_a_developer_message_are_understood(front):
    messages = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]
    answer = front.openai().chat.completions.create(model=MODEL, messages=messages, **sampling(5))
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].message.content


def test_old_completions_streamed_and_not_agree(front):
    client = front.openai()
    ask = dict(model=MODEL, prompt="once upon a time", **sampling())
    whole = client.completions.create(**ask)
    assert whole.object == "text_completion"
    assert whole.choices[0].text and whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 24
    chunks = list(client.completions.create(stream=True, **ask))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


def test_embeddings_are_the_same_as_floats_and_as_base64(front):
    client = front.openai()
    texts = ["one", "a longer text"]
    by_default = client.embeddings.create(model=MODEL, input=texts)  # the SDK asks for base64
    as_floats = client.embeddings.create(model=MODEL, input=texts, encoding_format="float")
    assert [item.index for item in by_default.data] == [0, 1]
    assert by_default.usage.prompt_tokens > 0
    for a, b in zip(by_default.data, as_floats.data, strict=True):
        assert len(a.embedding) == 128 and a.object == "embedding"
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6)


def test_base64_is_given_to_those_who_ask_for_it(main, direct):
    """Node's SDK decodes whatever comes: floats become nonsense without an error."""
    body = {"model": MODEL, "input": "one", "encoding_format": "base64"}
    raw = main.call("POST", "/v1/embeddings", body).json()["data"][0]["embedding"]
    if main == direct and not isinstance(raw, str):
        return  # an old Ollama that does not know it; the gateway does, whatever is behind it
    floats = struct.unpack("<128f", base64.b64decode(raw, validate=True))
    expected = direct.ollama().embed(MODEL, "one").embeddings[0]
    assert floats == pytest.approx(expected, abs=1e-6)


def test_embeddings_agree_with_the_ollama_client(front):
    ours = front.openai().embeddings.create(model=MODEL, input="one").data[0].embedding
    theirs = front.ollama().embed(MODEL, "one").embeddings[0]
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_models_are_listed_and_can_be_retrieved(front):
    client = front.openai()
    listed = {model.id: model for model in client.models.list()}
    assert {"tiny:latest", "tinycoder:latest"} <= set(listed)
    for model in listed.values():
        assert model.object == "model" and isinstance(model.created, int) and model.owned_by
    one = client.models.retrieve("tiny:latest")
    assert one.id == "tiny:latest" and one.object == "model"
    assert client.models.retrieve("tiny").id in ("tiny", "tiny:latest")
