"""OpenAI's Python client on the Responses API, over each upstream dialect."""

import base64
import hashlib
import json

import openai
import pytest

from dialects import (
    CALLS, FITS, INPUT, LOOKING, OPENAI_TOOLS, OUTPUT, READ, RESULTS, TEXT, Trip, is_thought, named, png, same, targets,
    told_after_the_beginning,
)  # fmt: skip

TOOLS = [{"type": "function", "strict": False} | tool["function"] for tool in OPENAI_TOOLS]


@pytest.fixture(params=targets("openai"), ids=named)
def target(request):
    return request.param


@pytest.fixture
def client(target):
    return target.openai()


def ask(client, target, scene, given="go", **more):
    return client.responses.create(model=target.model(scene), input=given, **more)


def events(client, target, scene, given="go", **more):
    """All events of a streamed answer, checked for what holds of every stream."""
    found = list(ask(client, target, scene, given, stream=True, **more))
    kinds = [event.type for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[-1] in ("response.completed", "response.incomplete"), kinds
    assert [event.sequence_number for event in found] == list(range(len(found)))
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done")
    assert len({event.response.id for event in found if hasattr(event, "response")}) == 1
    return found


def final(client, target, scene, given="go", **more):
    """The answer that the accumulating helper makes of a stream."""
    with client.responses.stream(model=target.model(scene), input=given, **more) as stream:
        return stream.get_final_response()


def counts(usage):
    return usage.input_tokens, usage.output_tokens, usage.total_tokens


def test_a_response(client, target):
    answer = ask(client, target, "says")
    assert answer.output_text == TEXT
    assert (answer.status, answer.object, answer.error) == ("completed", "response", None)
    assert counts(answer.usage) == (INPUT, OUTPUT, INPUT + OUTPUT)
    assert answer.output[0].role == "assistant" and answer.output[0].status == "completed"


def test_a_stream_of_events(client, target):
    found = events(client, target, "says")
    deltas = [event.delta for event in found if event.type == "response.output_text.delta"]
    assert "".join(deltas) == TEXT and len(deltas) > 3
    done = found[-1].response
    assert done.output_text == TEXT and done.status == "completed"
    assert counts(done.usage) == (INPUT, OUTPUT, INPUT + OUTPUT)


def test_the_accumulating_helper(client, target):
    answer = final(client, target, "says")
    assert answer.output_text == TEXT and answer.status == "completed"


def test_what_was_asked_arrives(client, target):
    given = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "input_text", "text": "three"}]},
    ]
    answer = ask(client, target, "hears", given, instructions="be short", max_output_tokens=50)
    heard = json.loads(answer.output_text)
    assert heard["system"] == "be short" and heard["user"] == "three" and heard["limit"] == 50
    assert [role for role in heard["roles"] if role != "system"] == ["user", "assistant", "user"]


def check_calls(answer):
    made = [item for item in answer.output if item.type == "function_call"]
    assert [call.name for call in made] == [name for name, _ in CALLS]
    assert all(same(call.arguments, call.name) for call in made), made
    assert len({call.call_id for call in made}) == 2 and all(call.status == "completed" for call in made)
    assert answer.output_text == LOOKING
    return made


def with_results(answer):
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]}
        for call in reversed(check_calls(answer))
    ]
    items = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
    for item in items:
        for part in item.get("content", []):
            part.pop("parsed", None)
    return [{"role": "user", "content": "go"}, *items, *results]


def test_a_loop_of_tools(client, target):
    answer = ask(client, target, "calls", tools=TOOLS)
    end = ask(client, target, "calls", with_results(answer), tools=TOOLS)
    assert end.output_text == READ


def test_a_streamed_loop_of_tools(client, target):
    found = events(client, target, "calls", tools=TOOLS)
    texts = {}
    for event in found:
        if event.type == "response.function_call_arguments.delta":
            texts[event.output_index] = texts.get(event.output_index, "") + event.delta
    made = check_calls(found[-1].response)
    assert [same(text, call.name) for text, call in zip(texts.values(), made, strict=True)] == [True, True]
    answer = final(client, target, "calls", tools=TOOLS)
    assert final(client, target, "calls", with_results(answer), tools=TOOLS).output_text == READ


def test_a_shape(client, target):
    answer = client.responses.parse(model=target.model("shapes"), input="go", text_format=Trip)
    assert answer.output_parsed == FITS
    assert final(client, target, "shapes", text_format=Trip).output_parsed == FITS


def test_an_image(client, target):
    picture = png(3)
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    answer = ask(client, target, "sees", [{"role": "user", "content": content}])
    assert answer.output_text == hashlib.sha256(picture).hexdigest()


def test_a_thought_is_an_item_of_its_own(client, target):
    more = {"reasoning": {"effort": "low", "summary": "auto"}}
    answer = ask(client, target, "thinks", **more)
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert is_thought(answer.output[0].summary[0].text, "low", target)
    assert answer.output_text == "Therefore."
    found = events(client, target, "thinks", **more)
    thought = [event.delta for event in found if event.type == "response.reasoning_summary_text.delta"]
    assert is_thought("".join(thought), "low", target)


def test_an_answer_that_was_cut_is_incomplete(client, target):
    answer = ask(client, target, "truncates", max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    found = events(client, target, "truncates", max_output_tokens=16)
    assert found[-1].type == "response.incomplete"


def test_an_earlier_answer_is_known_or_clearly_refused(client, target):
    first = ask(client, target, "hears", "one")
    if target.upstream == "openai":
        second = ask(client, target, "hears", "two", previous_response_id=first.id)
        assert json.loads(second.output_text)["roles"] == ["user", "assistant", "user"]
        return
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        ask(client, target, "hears", "two", previous_response_id=first.id)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scene", "raised"),
    [
        ("refuses-400", openai.BadRequestError),
        ("refuses-429", openai.RateLimitError),
        ("refuses-529", openai.InternalServerError),
        ("unheard-of", openai.NotFoundError),
    ],
)
def test_a_refusal_raises_its_own_class(client, target, scene, raised, stream):
    with pytest.raises(raised):
        ask(client, target, scene, stream=stream)


def test_an_error_inside_a_stream_is_raised(client, target):
    pieces = []
    with told_after_the_beginning(pieces, openai.APIError):
        for event in ask(client, target, "breaks", stream=True):
            assert event.type not in ("response.completed", "response.incomplete")
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)


@pytest.mark.gateway
def test_a_stream_that_just_ends_is_an_error(client, target):
    pieces = []
    with told_after_the_beginning(pieces, openai.APIError):
        for event in ask(client, target, "cuts", stream=True):
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
