"""Anthropic's Python client over each upstream dialect."""

import asyncio
import base64
import hashlib
import json

import anthropic
import pytest

from dialects import (
    ANTHROPIC_TOOLS, CALLS, FELL, FITS, INPUT, LOOKING, OUTPUT, READ, RESULTS, TEXT, Trip, named, png, same,
    targets, told_after_the_beginning,
)  # fmt: skip

ASK = [{"role": "user", "content": "go"}]
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


@pytest.fixture(params=targets("anthropic"), ids=named)
def target(request):
    return request.param


@pytest.fixture
def client(target):
    return target.anthropic()


def ask(client, target, scene, messages=ASK, **more):
    return client.messages.create(model=target.model(scene), messages=messages, max_tokens=2000, **more)


def final(client, target, scene, messages=ASK, **more):
    """The message that the accumulating helper makes of a stream."""
    with client.messages.stream(model=target.model(scene), messages=messages, max_tokens=2000, **more) as stream:
        return stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def read_tokens(usage):
    """All input tokens: those from a cache are counted apart here."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)


def check_whole(message):
    assert message.content[0].type == "text" and text_of(message) == TEXT
    assert (message.role, message.type, message.stop_reason) == ("assistant", "message", "end_turn")
    assert (read_tokens(message.usage), message.usage.output_tokens) == (INPUT, OUTPUT)
    assert message.stop_sequence is None and message.id


def test_a_message(client, target):
    check_whole(ask(client, target, "says"))


def test_the_accumulating_helper(client, target):
    check_whole(final(client, target, "says"))


def test_the_beta_client(client, target):
    message = client.beta.messages.create(
        model=target.model("says"), messages=ASK, max_tokens=2000, betas=["some-beta-2026-01-01"]
    )
    assert text_of(message) == TEXT and message.stop_reason == "end_turn"


def test_the_events_of_a_stream(client, target):
    events = list(ask(client, target, "says", stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds[1] == "content_block_start" and kinds[-3] == "content_block_stop"
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == TEXT and len(deltas) > 3
    assert events[0].message.content == [] and events[0].message.stop_reason is None


def test_an_asynchronous_stream(target):
    async def run():
        async with target.anthropic(anthropic.AsyncAnthropic) as client:
            more = {"messages": ASK, "max_tokens": 2000}
            async with client.messages.stream(model=target.model("says"), **more) as stream:
                return [text async for text in stream.text_stream]

    assert "".join(asyncio.run(run())) == TEXT


def test_what_was_asked_arrives(client, target):
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "three"}]},
    ]
    system = [{"type": "text", "text": "be short", "cache_control": {"type": "ephemeral"}}]
    heard = json.loads(text_of(ask(client, target, "hears", messages, system=system, stop_sequences=["END"])))
    assert heard["system"] == "be short" and heard["user"] == "three"
    assert [role for role in heard["roles"] if role != "system"] == ["user", "assistant", "user"]
    assert heard["limit"] == 2000 and heard["stop"] == ["END"]


def check_calls(message):
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use"
    assert [call.name for call in calls] == [name for name, _ in CALLS]
    assert all(same(call.input, call.name) for call in calls), calls
    assert len({call.id for call in calls}) == 2
    assert text_of(message) == LOOKING
    return calls


def with_results(message):
    """The next turn; the results come in the other order, so only their ids say whose they are."""
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": RESULTS[call.name]}
        for call in reversed(check_calls(message))
    ]
    return [*ASK, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]


def test_a_loop_of_tools(client, target):
    message = ask(client, target, "calls", tools=ANTHROPIC_TOOLS)
    end = ask(client, target, "calls", with_results(message), tools=ANTHROPIC_TOOLS)
    assert text_of(end) == READ and end.stop_reason == "end_turn"


def test_a_streamed_loop_of_tools(client, target):
    message = final(client, target, "calls", tools=ANTHROPIC_TOOLS)
    end = final(client, target, "calls", with_results(message), tools=ANTHROPIC_TOOLS)
    assert text_of(end) == READ and end.stop_reason == "end_turn"


def test_a_loop_of_tools_with_thinking(client, target):
    more = {"tools": ANTHROPIC_TOOLS} | THINK
    message = final(client, target, "calls", **more)
    assert message.content[0].type == "thinking" and message.content[0].thinking
    assert text_of(ask(client, target, "calls", with_results(message), **more)) == READ


def test_results_in_blocks_and_with_a_text_after_them(client, target):
    messages = with_results(ask(client, target, "calls", tools=ANTHROPIC_TOOLS))
    for result in messages[-1]["content"]:
        result["content"] = [{"type": "text", "text": result["content"]}]
    messages[-1]["content"].append({"type": "text", "text": "and now?"})
    assert text_of(ask(client, target, "calls", messages, tools=ANTHROPIC_TOOLS)) == READ


def test_no_tools_means_no_calls(client, target):
    message = ask(client, target, "calls", tools=ANTHROPIC_TOOLS, tool_choice={"type": "none"})
    assert message.stop_reason == "end_turn" and [block.type for block in message.content] == ["text"]


def test_a_shape(client, target):
    message = client.messages.parse(
        model=target.model("shapes"), messages=ASK, max_tokens=2000, output_format=Trip
    )
    assert message.parsed_output == FITS
    assert final(client, target, "shapes", output_format=Trip).parsed_output == FITS


def test_images(client, target):
    pictures = [png(1), png(2)]
    blocks = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()},
        }
        for picture in pictures
    ]
    messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": "look"}]}]
    message = ask(client, target, "sees", messages)
    assert text_of(message).split() == [hashlib.sha256(picture).hexdigest() for picture in pictures]


def check_thought(message):
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking.startswith("Thinking (")
    assert text_of(message) == "Therefore."


def test_a_thought_is_a_block_of_its_own(client, target):
    check_thought(ask(client, target, "thinks", **THINK))
    check_thought(final(client, target, "thinks", **THINK))


def test_an_effort_is_passed_on(client, target):
    more = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    message = ask(client, target, "thinks", **more)
    assert message.content[0].thinking == "Thinking (low)."


def test_no_thought_where_none_is_wanted(client, target):
    message = ask(client, target, "thinks", thinking={"type": "disabled"})
    assert [block.type for block in message.content] == ["text"]


def test_a_budget_does_no_harm_to_a_model_that_cannot_think(client, target):
    assert text_of(ask(client, target, "says", **THINK)) == TEXT


def test_an_answer_that_was_cut_says_so(client, target):
    assert ask(client, target, "truncates").stop_reason == "max_tokens"
    assert final(client, target, "truncates").stop_reason == "max_tokens"


def test_tokens_are_counted(client, target):
    counted = client.messages.count_tokens(model=target.model("says"), messages=ASK, tools=ANTHROPIC_TOOLS)
    assert counted.input_tokens > 0
    if target.upstream == "anthropic":
        assert counted.input_tokens == INPUT


def test_models_are_listed_and_retrieved(client, target):
    listed = {model.id: model for model in client.models.list()}
    tag = ":latest" if target.upstream == "ollama" and not target.direct else ""
    found = [name for name in (target.model("says"), target.model("says") + tag, "says" + tag) if name in listed]
    assert found, sorted(listed)
    model = client.models.retrieve(found[0])
    assert model.id == found[0] and model.type == "model"
    assert model.display_name and model.created_at.year >= 1970


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scene", "raised", "said"),
    [
        ("refuses-400", anthropic.BadRequestError, "that is no question"),
        ("refuses-429", anthropic.RateLimitError, "slow down"),
        ("refuses-500", anthropic.APIStatusError, FELL),
        ("refuses-529", anthropic.APIStatusError, "Overloaded"),
        ("unheard-of", anthropic.NotFoundError, "unheard-of"),
    ],
)
def test_a_refusal_raises_its_own_class(client, target, scene, raised, said, stream):
    with pytest.raises(raised) as caught:
        ask(client, target, scene, stream=stream)
    body = caught.value.body
    assert body["type"] == "error" and said in body["error"]["message"]
    if scene == "refuses-429":
        assert caught.value.response.headers["retry-after"] == "17"
        assert body["error"]["type"] == "rate_limit_error"
    if scene == "refuses-529":
        assert body["error"]["type"] == "overloaded_error" and caught.value.status_code in (503, 529)


def test_an_error_inside_a_stream_is_raised(client, target):
    pieces = []
    with told_after_the_beginning(pieces, anthropic.APIStatusError):
        for event in ask(client, target, "breaks", stream=True):
            assert event.type not in ("message_delta", "message_stop")
            if event.type == "content_block_delta":
                pieces.append(event.delta.text)
    with pytest.raises(anthropic.APIStatusError, match=FELL):
        final(client, target, "breaks")


def test_an_unstreamed_answer_that_breaks_is_an_error(client, target):
    with pytest.raises(anthropic.APIStatusError, match=FELL):
        ask(client, target, "breaks")


@pytest.mark.gateway
def test_a_stream_that_just_ends_is_an_error(client, target):
    pieces = []
    with told_after_the_beginning(pieces, anthropic.APIStatusError):
        for event in ask(client, target, "cuts", stream=True):
            if event.type == "content_block_delta":
                pieces.append(event.delta.text)
