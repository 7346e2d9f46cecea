"""Anthropic's Python client in front of the real model.

Its API has no seed. At temperature 0 there is nothing to choose, so the text is known all the same; its
newest version does not name the temperature any more, but who serves other models still reads it.
"""

import anthropic
import pytest

from asks import MESSAGES, MODEL, has, truth

COLD = {"temperature": 0}


@pytest.fixture
def client(front):
    has(front, "/v1/messages")
    return anthropic.Anthropic(base_url=front.url, api_key="local", max_retries=0, timeout=30)


@pytest.fixture
def expected(direct):
    return truth(direct, temperature=0.0)


def check(message, expected):
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == expected["message"]["content"]
    assert (message.role, message.stop_reason) == ("assistant", "max_tokens")
    assert message.usage.output_tokens == 24
    assert message.usage.input_tokens == expected["prompt_eval_count"]


def test_a_message_is_the_answer_of_ollama(client, expected):
    ask = {"model": MODEL, "messages": MESSAGES, "max_tokens": 24, "extra_body": COLD}
    check(client.messages.create(**ask), expected)


def test_a_streamed_message_is_the_same_in_pieces(client, expected):
    ask = {"model": MODEL, "messages": MESSAGES, "max_tokens": 24, "extra_body": COLD}
    with client.messages.stream(**ask, extra_headers={"Cache-Control": "no-store"}) as stream:
        pieces = list(stream.text_stream)
        check(stream.get_final_message(), expected)
    assert len(pieces) > 10


def test_an_unknown_model_is_not_found(client):
    for stream in (False, True):
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.messages.create(model="no-such-model", messages=MESSAGES, max_tokens=5, stream=stream)
        assert "no-such-model" in caught.value.body["error"]["message"]


@pytest.mark.gateway
def test_auto_answers(client):
    message = client.messages.create(model="auto", messages=MESSAGES, max_tokens=5)
    assert message.usage.output_tokens == 5


@pytest.mark.gateway
def test_tokens_are_counted_and_models_listed(client):
    few = client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens
    many = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hi " * 500}])
    assert 0 < few < many.input_tokens
    assert {"auto", "tiny:latest"} <= {model.id for model in client.models.list()}
