"""OpenAI's Responses API in front of the real model."""

import openai
import pytest

from asks import FRESH, MODEL, has, truth


@pytest.fixture
def client(front):
    has(front, "/v1/responses")
    return front.openai()


@pytest.fixture
def expected(direct):
    return truth(direct, temperature=0.0)


ASK = {"model": MODEL, "input": "hi", "temperature": 0, "max_output_tokens": 24}


def check(answer, expected):
    assert answer.output_text == expected["message"]["content"]
    assert answer.usage.output_tokens == 24
    assert answer.usage.input_tokens == expected["prompt_eval_count"]


def test_a_response_is_the_answer_of_ollama(client, front, expected):
    answer = client.responses.create(**ASK)
    check(answer, expected)
    if front.name == "gateway":  # Ollama itself calls what it cut complete
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_stream_of_events_is_the_same_in_pieces(client, expected):
    events = list(client.responses.create(**ASK, stream=True, extra_headers=FRESH))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == expected["message"]["content"] and len(pieces) > 10
    check(events[-1].response, expected)
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_an_unknown_model_is_not_found(client):
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="no-such-model", input="hi", stream=stream)
