"""Ollama's Python client over each upstream dialect."""

import asyncio
import hashlib
import json

import ollama
import pytest

from dialects import (
    CALLS, FELL, FITS, INPUT, LOOKING, OPENAI_TOOLS, OUTPUT, READ, RESULTS, TEXT, Trip, is_thought, named, png, same,
    targets, told_after_the_beginning, vector,
)  # fmt: skip

ASK = [{"role": "user", "content": "go"}]


@pytest.fixture(params=targets("ollama"), ids=named)
def target(request):
    return request.param


@pytest.fixture(params=targets("ollama", ("openai", "ollama")), ids=named)
def embedder(request):
    return request.param


@pytest.fixture
def client(target):
    return target.ollama()


def ask(client, target, scene, messages=ASK, **more):
    return client.chat(target.model(scene), messages, **more)


def check_end(part):
    assert part.done is True
    assert (part.prompt_eval_count, part.eval_count) == (INPUT, OUTPUT)
    assert part.total_duration > 0 and part.eval_duration > 0  # user interfaces divide by it


def test_a_chat(client, target):
    answer = ask(client, target, "says")
    assert answer.message.content == TEXT
    assert (answer.message.role, answer.done_reason) == ("assistant", "stop")
    assert answer.model in (target.model("says"), "says")  # the latter where bytes are passed on
    check_end(answer)


def test_a_stream(client, target):
    parts = list(ask(client, target, "says", stream=True))
    assert "".join(part.message.content for part in parts) == TEXT
    assert len(parts) > 4
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].done_reason == "stop"
    check_end(parts[-1])


def test_an_asynchronous_stream(target):
    async def run():
        client = target.ollama(ollama.AsyncClient)
        return [part async for part in await ask(client, target, "says", stream=True)]

    assert "".join(part.message.content for part in asyncio.run(run())) == TEXT


def test_generate_streamed_and_not(client, target):
    whole = client.generate(target.model("says"), "go")
    assert whole.response == TEXT and whole.done_reason == "stop"
    check_end(whole)
    parts = list(client.generate(target.model("says"), "go", stream=True))
    assert "".join(part.response for part in parts) == TEXT
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    check_end(parts[-1])


def test_what_was_asked_arrives(client, target):
    options = {"num_predict": 50, "stop": ["END"], "temperature": 0.5, "seed": 3}
    messages = [{"role": "system", "content": "be short"}, *ASK]
    chat = json.loads(ask(client, target, "hears", messages, options=options).message.content)
    generated = client.generate(target.model("hears"), "go", system="be short", options=options).response
    for heard in (chat, json.loads(generated)):
        assert heard["system"] == "be short" and heard["user"] == "go"
        assert heard["limit"] == 50 and heard["stop"] == ["END"]
        # Anthropic's newest version has no temperature, and no version has a seed.
        assert heard.get("temperature", 0.5 if target.upstream == "anthropic" else None) == 0.5
        assert heard.get("seed", 3 if target.upstream == "anthropic" else None) == 3


def check_calls(calls):
    assert [call.function.name for call in calls] == [name for name, _ in CALLS]
    assert all(same(call.function.arguments, call.function.name) for call in calls), calls


def with_results(message):
    """The next turn; this client drops every id, so only their names say whose the results are."""
    results = [
        {"role": "tool", "tool_name": call.function.name, "content": RESULTS[call.function.name]}
        for call in reversed(message.tool_calls)
    ]
    return [*ASK, message, *results]


def test_a_loop_of_tools(client, target):
    answer = ask(client, target, "calls", tools=OPENAI_TOOLS)
    assert answer.message.content == LOOKING and answer.done_reason == "stop"
    check_calls(answer.message.tool_calls)
    end = ask(client, target, "calls", with_results(answer.message), tools=OPENAI_TOOLS)
    assert end.message.content == READ


def test_a_streamed_loop_of_tools(client, target):
    parts = list(ask(client, target, "calls", tools=OPENAI_TOOLS, stream=True))
    calls = [call for part in parts for call in part.message.tool_calls or []]
    check_calls(calls)
    content = "".join(part.message.content or "" for part in parts)
    message = ollama.Message(role="assistant", content=content, tool_calls=calls)
    end = list(ask(client, target, "calls", with_results(message), tools=OPENAI_TOOLS, stream=True))
    assert "".join(part.message.content or "" for part in end) == READ


def test_a_loop_of_tools_with_thinking(client, target):
    answer = ask(client, target, "calls", tools=OPENAI_TOOLS, think=True)
    assert answer.message.thinking
    end = ask(client, target, "calls", with_results(answer.message), tools=OPENAI_TOOLS, think=True)
    assert end.message.content == READ


@pytest.mark.parametrize("stream", [False, True])
def test_a_shape_by_a_schema(client, target, stream):
    answer = ask(client, target, "shapes", format=Trip.model_json_schema(), stream=stream)
    text = "".join(part.message.content for part in answer) if stream else answer.message.content
    assert Trip.model_validate_json(text) == FITS
    assert list(json.loads(text)) == ["where", "days", "notes"]


def test_any_json(client, target):
    """Anthropic has no such thing: refused by name, or said to be dropped, but not silently."""
    try:
        answer = ask(client, target, "shapes", format="json")
    except ollama.ResponseError as error:
        assert target.upstream == "anthropic" and error.status_code == 400, error
        return
    assert json.loads(answer.message.content)


def test_images(client, target):
    pictures = [png(1), png(2)]
    expected = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    messages = [{"role": "user", "content": "look", "images": pictures}]
    assert ask(client, target, "sees", messages).message.content.split() == expected
    assert client.generate(target.model("sees"), "look", images=pictures).response.split() == expected


def test_a_thought_is_shown(client, target):
    answer = ask(client, target, "thinks", think="low")
    assert is_thought(answer.message.thinking, "low", target)
    assert answer.message.content == "Therefore."
    answer = ask(client, target, "thinks", think=True)
    assert answer.message.thinking.startswith("Thinking (")


def test_a_streamed_thought_comes_before_the_text(client, target):
    parts = list(ask(client, target, "thinks", think="high", stream=True))
    assert is_thought("".join(part.message.thinking or "" for part in parts), "high", target)
    assert "".join(part.message.content or "" for part in parts) == "Therefore."
    first_text = next(n for n, part in enumerate(parts) if part.message.content)
    assert not any(part.message.thinking for part in parts[first_text:])


def test_no_thought_where_none_is_wanted(client, target):
    assert not ask(client, target, "thinks", think=False).message.thinking


def test_an_answer_that_was_cut_says_so(client, target):
    assert ask(client, target, "truncates").done_reason == "length"
    assert list(ask(client, target, "truncates", stream=True))[-1].done_reason == "length"


def test_embeddings(embedder):
    client = embedder.ollama()
    answer = client.embed(embedder.model("embeds"), ["one", "two"])
    for found, text in zip(answer.embeddings, ["one", "two"], strict=True):
        assert found == pytest.approx(vector(text), abs=1e-6)
    assert answer.prompt_eval_count == INPUT


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("scene", "statuses", "said"),
    [
        ("refuses-400", {400}, "that is no question"),
        ("refuses-429", {429}, "slow down"),
        ("refuses-500", {500, 502}, FELL),
        ("refuses-529", {503, 529}, "Overloaded"),
        ("unheard-of", {404}, "unheard-of"),
    ],
)
def test_a_refusal_has_its_own_status(client, target, scene, statuses, said, stream):
    with pytest.raises(ollama.ResponseError) as caught:
        answer = ask(client, target, scene, stream=stream)
        list(answer)
    assert caught.value.status_code in statuses
    assert said in caught.value.error


def test_an_error_inside_a_stream_is_raised(client, target):
    pieces = []
    with told_after_the_beginning(pieces, ollama.ResponseError):
        for part in ask(client, target, "breaks", stream=True):
            assert not part.done
            pieces.append(part.message.content)


def test_an_unstreamed_answer_that_breaks_is_an_error(client, target):
    with pytest.raises(ollama.ResponseError, match=FELL):
        ask(client, target, "breaks")


@pytest.mark.gateway
def test_a_stream_that_just_ends_is_an_error(client, target):
    pieces = []
    with told_after_the_beginning(pieces, ollama.ResponseError):
        for part in ask(client, target, "cuts", stream=True):
            pieces.append(part.message.content)
