"""A function call that the client insists on: Ollama has no `tool_choice`, so the gateway gives its
answer a form.

The tiny model knows no tools and its weights are random. What it writes here is chosen by the grammar
that Ollama makes of that form: the names are the only ones it may write, and which of several it takes
says nothing. That is the point: whatever the model, the call is one.
"""

import json

import pytest

from asks import FRESH, MESSAGES, MODEL, sampling

pytestmark = pytest.mark.gateway

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How the weather is.",
        "parameters": {
            "$defs": {"Unit": {"enum": ["celsius", "fahrenheit"]}},
            "type": "object",
            "properties": {"unit": {"$ref": "#/$defs/Unit"}, "city": {"enum": ["Paris", "Rome"]}},
            "required": ["unit", "city"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
NAMED = {"type": "function", "function": {"name": "weather"}}


def check(name, arguments):
    """The call is one that the tools allow, its arguments in the order of their schema."""
    arguments = json.loads(arguments)
    if name == "weather":
        assert list(arguments) == ["unit", "city"]
        assert arguments["unit"] in ("celsius", "fahrenheit") and arguments["city"] in ("Paris", "Rome")
    else:
        assert name == "clock" and isinstance(arguments, dict)


def ask(choice, seed=7):
    more = {"tools": [WEATHER, CLOCK], "tool_choice": choice, "extra_headers": FRESH}
    return {"model": MODEL, "messages": MESSAGES, **sampling(300, seed), **more}


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
@pytest.mark.parametrize("seed", range(5))
def test_unstreamed(main, choice, seed):
    answer = main.openai().chat.completions.create(**ask(choice, seed)).choices[0]
    assert answer.finish_reason == "tool_calls" and not answer.message.content
    (call,) = answer.message.tool_calls
    assert call.id and call.type == "function"
    assert choice == "required" or call.function.name == "weather"
    check(call.function.name, call.function.arguments)


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_streamed_through_the_accumulating_helper(main, choice):
    with main.openai().chat.completions.stream(**ask(choice)) as stream:
        answer = stream.get_final_completion().choices[0]
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.message.tool_calls
    check(call.function.name, call.function.arguments)


def test_raw_events_have_the_call_and_no_text(main):
    body = {**ask("required"), "stream": True}
    headers = body.pop("extra_headers")
    answer = main.call("POST", "/v1/chat/completions", body, headers)
    events = answer.events()
    assert answer.status == 200 and events[-1] == "[DONE]"
    deltas = [event["choices"][0]["delta"] for event in events[:-1]]
    assert not any(delta.get("content") for delta in deltas)
    (call,) = [call for delta in deltas for call in delta.get("tool_calls", [])]
    check(call["function"]["name"], call["function"]["arguments"])


def test_a_limit_in_the_middle_of_a_call_is_told_and_half_a_call_is_not(main):
    answer = main.openai().chat.completions.create(**{**ask(NAMED), "max_tokens": 8}).choices[0]
    assert answer.finish_reason == "length" and not answer.message.tool_calls


def test_the_loop_goes_on_after_the_result(main):
    client, ask_ = main.openai(), ask("required")
    message = client.chat.completions.create(**ask_).choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    ask_["messages"] = [*MESSAGES, message.model_dump(exclude_none=True), result]
    (again,) = client.chat.completions.create(**ask_).choices[0].message.tool_calls
    check(again.function.name, again.function.arguments)
    assert again.id != call.id
