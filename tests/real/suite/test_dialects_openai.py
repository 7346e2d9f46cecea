"""OpenAI's Python client on chat completions, over each upstream dialect."""

import asyncio
import base64
import hashlib
import json
import re

import openai
import pytest

from dialects import (
    CALLS, FELL, FITS, INPUT, LOOKING, OPENAI_TOOLS, OUTPUT, READ, RESULTS, TEXT, Trip, is_thought, named, png, same,
    targets, told_after_the_beginning, vector,
)  # fmt: skip

ASK = [{"role": "user", "content": "go"}]
COUNT = {"stream_options": {"include_usage": True}}


@pytest.fixture(params=targets("openai"), ids=named)
def target(request):
    return request.param


@pytest.fixture(params=targets("openai", ("openai", "ollama")), ids=named)
def embedder(request):
    return request.param


@pytest.fixture
def client(target):
    return target.openai()


def ask(client, target, scene, messages=ASK, **more):
    return client.chat.completions.create(model=target.model(scene), messages=messages, **more)


def counts(usage):
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_chat(client, target):
    answer = ask(client, target, "says")
    choice = answer.choices[0]
    assert choice.message.content == TEXT
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert not choice.message.tool_calls
    assert counts(answer.usage) == (INPUT, OUTPUT, INPUT + OUTPUT)
    assert answer.object == "chat.completion" and answer.id and answer.created


def test_a_stream(client, target):
    chunks = list(ask(client, target, "says", stream=True, **COUNT))
    assert text_of(chunks) == TEXT
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-2:] == [None, "stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    assert not chunks[-1].choices and counts(chunks[-1].usage) == (INPUT, OUTPUT, INPUT + OUTPUT)
    assert not any(chunk.usage for chunk in chunks[:-1])


def test_a_stream_without_usage_has_no_chunk_for_it(client, target):
    chunks = list(ask(client, target, "says", stream=True))
    assert all(chunk.choices and not chunk.usage for chunk in chunks)


def test_the_accumulating_helper(client, target):
    with client.chat.completions.stream(model=target.model("says"), messages=ASK, **COUNT) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.role == "assistant"
    assert counts(answer.usage) == (INPUT, OUTPUT, INPUT + OUTPUT)


def test_an_asynchronous_stream(target):
    async def run():
        async with target.openai(openai.AsyncOpenAI) as client:
            stream = await ask(client, target, "says", stream=True)
            return [chunk async for chunk in stream]

    assert text_of(asyncio.run(run())) == TEXT


def test_what_was_asked_arrives(client, target):
    messages = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "text", "text": "thr"}, {"type": "text", "text": "ee"}]},
    ]
    answer = ask(client, target, "hears", messages, max_completion_tokens=50, stop="END", temperature=0.5, seed=3)
    heard = json.loads(answer.choices[0].message.content)
    assert heard.get("system") == "be short"
    assert heard["user"] == "thr\nee"
    assert [role for role in heard["roles"] if role not in ("system", "developer")] == ["user", "assistant", "user"]
    assert heard["limit"] == 50 and heard["stop"] == ["END"]
    # Anthropic's newest version has no temperature, and no version has a seed.
    assert heard.get("temperature", 0.5 if target.upstream == "anthropic" else None) == 0.5
    assert heard.get("seed", 3 if target.upstream == "anthropic" else None) == 3


def check_calls(message):
    assert [call.function.name for call in message.tool_calls] == [name for name, _ in CALLS]
    assert all(call.type == "function" for call in message.tool_calls)
    assert all(same(call.function.arguments, call.function.name) for call in message.tool_calls), message
    assert len({call.id for call in message.tool_calls}) == 2 and all(call.id for call in message.tool_calls)
    assert message.content == LOOKING


def with_results(message):
    """The next turn; the results come in the other order, so only their ids say whose they are."""
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]}
        for call in reversed(message.tool_calls)
    ]
    return [*ASK, message, *results]


def test_a_loop_of_tools(client, target):
    answer = ask(client, target, "calls", tools=OPENAI_TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    check_calls(answer.choices[0].message)
    end = ask(client, target, "calls", with_results(answer.choices[0].message), tools=OPENAI_TOOLS)
    assert end.choices[0].message.content == READ
    assert end.choices[0].finish_reason == "stop"


def test_a_streamed_loop_of_tools(client, target):
    def run(messages):
        more = {"messages": messages, "tools": OPENAI_TOOLS}
        with client.chat.completions.stream(model=target.model("calls"), **more) as stream:
            return stream.get_final_completion().choices[0]

    choice = run(ASK)
    assert choice.finish_reason == "tool_calls"
    check_calls(choice.message)
    assert run(with_results(choice.message)).message.content == READ


def test_a_loop_of_tools_with_thinking(client, target):
    """Anthropic wants its signed thought back before a call, and this client has no place for the signature."""
    more = {"tools": OPENAI_TOOLS, "reasoning_effort": "low"}
    answer = ask(client, target, "calls", **more)
    check_calls(answer.choices[0].message)
    end = ask(client, target, "calls", with_results(answer.choices[0].message), **more)
    assert end.choices[0].message.content == READ


def test_a_result_in_parts(client, target):
    message = ask(client, target, "calls", tools=OPENAI_TOOLS).choices[0].message
    messages = with_results(message)
    for result in messages[2:]:
        result["content"] = [{"type": "text", "text": result["content"]}]
    end = ask(client, target, "calls", messages, tools=OPENAI_TOOLS)
    assert end.choices[0].message.content == READ


def test_no_tools_means_no_calls(client, target):
    answer = ask(client, target, "calls", tools=OPENAI_TOOLS, tool_choice="none")
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "stop"


def test_a_shape_by_the_helper(client, target):
    answer = client.chat.completions.parse(model=target.model("shapes"), messages=ASK, response_format=Trip)
    assert answer.choices[0].message.parsed == FITS


def test_a_shape_by_a_schema(client, target):
    schema = {"name": "trip", "strict": True, "schema": Trip.model_json_schema()}
    shape = {"type": "json_schema", "json_schema": schema}
    answer = ask(client, target, "shapes", response_format=shape)
    assert Trip.model_validate_json(answer.choices[0].message.content) == FITS
    assert list(json.loads(answer.choices[0].message.content)) == ["where", "days", "notes"]


def test_a_streamed_shape(client, target):
    more = {"messages": ASK, "response_format": Trip}
    with client.chat.completions.stream(model=target.model("shapes"), **more) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == FITS


def test_images(client, target):
    pictures = [png(1), png(2)]
    urls = ["data:image/png;base64," + base64.b64encode(picture).decode() for picture in pictures]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    messages = [{"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}]
    answer = ask(client, target, "sees", messages)
    assert answer.choices[0].message.content.split() == [hashlib.sha256(p).hexdigest() for p in pictures]


def test_a_thought_is_shown(client, target):
    message = ask(client, target, "thinks", reasoning_effort="low").choices[0].message
    assert is_thought(message.reasoning, "low", target)
    assert message.content == "Therefore."


def test_a_streamed_thought_comes_before_the_text(client, target):
    chunks = list(ask(client, target, "thinks", reasoning_effort="high", stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thoughts = [getattr(delta, "reasoning", None) or "" for delta in deltas]
    assert is_thought("".join(thoughts), "high", target)
    assert text_of(chunks) == "Therefore."
    first_text = next(n for n, delta in enumerate(deltas) if delta.content)
    assert not any(thoughts[first_text:])


def test_more_effort_is_more_effort(client, target):
    efforts = ("low", "medium", "high")
    thoughts = [ask(client, target, "thinks", reasoning_effort=e).choices[0].message.reasoning for e in efforts]
    assert len(set(thoughts)) == 3
    budgets = [int(number) for thought in thoughts for number in re.findall(r"\d+", thought)]
    assert budgets == sorted(budgets)


def test_no_thought_where_none_is_wanted(client, target):
    message = ask(client, target, "thinks", reasoning_effort="none").choices[0].message
    assert not getattr(message, "reasoning", None)


def test_an_effort_does_no_harm_to_a_model_that_cannot_think(client, target):
    assert ask(client, target, "says", reasoning_effort="low").choices[0].message.content == TEXT


def test_an_answer_that_was_cut_says_so(client, target):
    assert ask(client, target, "truncates", max_tokens=5).choices[0].finish_reason == "length"
    chunks = list(ask(client, target, "truncates", max_tokens=5, stream=True))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


def test_embeddings(embedder):
    client = embedder.openai()
    texts = ["one", "two"]
    answer = client.embeddings.create(model=embedder.model("embeds"), input=texts)  # asks for base64
    assert [item.index for item in answer.data] == [0, 1]
    for item, text in zip(answer.data, texts, strict=True):
        assert item.embedding == pytest.approx(vector(text), abs=1e-6)
    assert answer.usage.prompt_tokens == INPUT
    floats = client.embeddings.create(model=embedder.model("embeds"), input="one", encoding_format="float")
    assert floats.data[0].embedding == pytest.approx(vector("one"), abs=1e-6)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scene", "raised", "said"),
    [
        ("refuses-400", openai.BadRequestError, "that is no question"),
        ("refuses-429", openai.RateLimitError, "slow down"),
        ("refuses-500", openai.InternalServerError, FELL),
        ("refuses-529", openai.InternalServerError, "Overloaded"),
        ("unheard-of", openai.NotFoundError, "unheard-of"),
    ],
)
def test_a_refusal_raises_its_own_class(client, target, scene, raised, said, stream):
    with pytest.raises(raised) as caught:
        ask(client, target, scene, stream=stream)
    assert said in caught.value.body["message"]
    if scene == "refuses-429":
        assert caught.value.response.headers["retry-after"] == "17"


@pytest.mark.gateway
def test_the_gateways_own_wrong_key_is_not_the_clients_fault(client, target):
    with pytest.raises(openai.InternalServerError):
        ask(client, target, "refuses-401")


def test_an_error_inside_a_stream_is_raised(client, target):
    pieces = []
    with told_after_the_beginning(pieces, openai.APIError):
        for chunk in ask(client, target, "breaks", stream=True):
            assert not chunk.choices or not chunk.choices[0].finish_reason
            pieces.append(text_of([chunk]))
    with pytest.raises(openai.APIError, match=FELL):
        with client.chat.completions.stream(model=target.model("breaks"), messages=ASK) as stream:
            stream.get_final_completion()


def test_an_unstreamed_answer_that_breaks_is_an_error(client, target):
    with pytest.raises(openai.InternalServerError):
        ask(client, target, "breaks")


@pytest.mark.gateway
def test_a_stream_that_just_ends_is_an_error(client, target):
    """Where the gateway passes bytes on, it can only add what is missing: the error."""
    pieces = []
    with told_after_the_beginning(pieces, openai.APIError):
        for chunk in ask(client, target, "cuts", stream=True):
            pieces.append(text_of([chunk]))
