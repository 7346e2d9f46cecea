"""The script itself: what a real provider refuses, it refuses, else no translation would be tested."""

import json
import urllib.error
import urllib.request

import pytest

from dialects import ANTHROPIC_TOOLS, CALLS, KEYS, OPENAI_TOOLS, SCRIPTED

OPENAI = {"Authorization": f"Bearer {KEYS['openai']}"}
ANTHROPIC = {"x-api-key": KEYS["anthropic"], "anthropic-version": "2023-06-01"}
NEW = ANTHROPIC | {"anthropic-version": "2026-10-21"}
GO = {"role": "user", "content": "go"}
CHAT, RESPONSES, NATIVE, MESSAGES = "/v1/chat/completions", "/v1/responses", "/api/chat", "/anthropic/v1/messages"
HEADERS = {CHAT: OPENAI, RESPONSES: OPENAI, NATIVE: {}, MESSAGES: ANTHROPIC}


def post(path, body, headers):
    """The status and the text of an answer."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(SCRIPTED + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def openai_call(id="a", arguments='{"zeta":1}', **more):
    function = {"name": "count", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": function} | more]}


def native_call(arguments):
    return {"role": "assistant", "tool_calls": [{"function": {"name": "count", "arguments": arguments}}]}


def use(id="a", input=None):
    return {"type": "tool_use", "id": id, "name": "count", "input": {} if input is None else input}


def result(id="a"):
    return {"type": "tool_result", "tool_use_id": id, "content": "1"}


def turns(*contents):
    """Turns of the user and the model, in alternation."""
    return [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]


TEXT = {"type": "text", "text": "and?"}
SEEN = {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "aGk="}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": ""}
ENABLED = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
WRONG = [
    (CHAT, {"stop": None}, "null"),
    (CHAT, {"think": True}, "Unrecognized"),
    (CHAT, {"max_tokens": 5, "max_completion_tokens": 5}, "same time"),
    (CHAT, {"stream_options": {"include_usage": True}}, "stream"),
    (CHAT, {"tool_choice": "auto"}, "tools"),
    (CHAT, {"tools": []}, "too short"),
    (CHAT, {"reasoning_effort": "on"}, "reasoning_effort"),
    (CHAT, {"messages": [GO, {"role": "tool", "tool_call_id": "a", "content": "1"}]}, "preceding"),
    (CHAT, {"messages": [GO, openai_call(), GO]}, "without a response"),
    (CHAT, {"messages": [GO, openai_call()]}, "without a response"),
    (CHAT, {"messages": [GO, openai_call(arguments={})]}, "not a string"),
    (CHAT, {"messages": [GO, openai_call(arguments="[]")]}, "not an object"),
    (CHAT, {"messages": [GO, openai_call(id="")]}, "id"),
    (CHAT, {"messages": [{"role": "user", "content": None}]}, "expected a string"),
    (CHAT, {"messages": [{"role": "user", "content": [SEEN]}]}, "unknown part"),
    (CHAT, {"messages": [GO | {"name": None}]}, "null"),
    (CHAT, {"model": "shapes"}, "no schema"),
    (CHAT, {"model": "sees"}, "no image"),
    (CHAT, {"model": "calls", "tools": OPENAI_TOOLS[:1]}, "the tools are"),
    (RESPONSES, {"messages": [GO]}, "Unknown parameter"),
    (RESPONSES, {"previous_response_id": "resp_x"}, "not found"),
    (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "a", "output": "1"}]}, "No tool call"),
    (NATIVE, {"tool_choice": "none"}, "tool_choice"),
    (NATIVE, {"messages": [GO, native_call('{"zeta":1}')]}, "arguments"),
    (NATIVE, {"messages": [GO, native_call({})]}, "without its result"),
    (NATIVE, {"messages": [GO, {"role": "tool", "tool_name": "count", "content": "1"}]}, "without its call"),
    (NATIVE, {"messages": [GO, native_call({}), {"role": "tool", "content": "1"}]}, "without its call"),
    (NATIVE, {"messages": [{"role": "user", "content": [TEXT]}]}, "content"),
    (NATIVE, {"messages": [{"role": "developer", "content": "x"}]}, "unknown role"),
    (NATIVE, {"messages": [GO | {"images": ["data:image/png;base64,aGk="]}]}, "illegal base64"),
    (NATIVE, {"think": "minimal"}, "invalid think"),
    (NATIVE, {"think": True}, "does not support thinking"),
    (NATIVE, {"tools": OPENAI_TOOLS}, "does not support tools"),
    (MESSAGES, {"max_tokens": None}, "max_tokens"),
    (MESSAGES, {"seed": 1}, "Extra inputs"),
    (MESSAGES, {"temperature": 1.5}, "temperature"),
    (MESSAGES, {"stop_sequences": [" "]}, "non-whitespace"),
    (MESSAGES, {"messages": turns("")}, "non-empty"),
    (MESSAGES, {"messages": turns([{"type": "text", "text": ""}])}, "non-empty"),
    (MESSAGES, {"messages": [{"role": "tool", "content": "x"}]}, "role"),
    (MESSAGES, {"messages": turns("go", "ok")[1:]}, "first message"),
    (MESSAGES, {"messages": turns("go", [use("a:b")], [result("a:b")])}, "tool_use.id"),
    (MESSAGES, {"messages": turns("go", [use(input="{}")], [result()])}, "object"),
    (MESSAGES, {"messages": turns("go", [use(), use()], [result(), result()])}, "unique"),
    (MESSAGES, {"messages": turns("go", [use()], [TEXT, result()])}, "come first"),
    (MESSAGES, {"messages": turns("go", [use(), use("b")], [result()])}, "without"),
    (MESSAGES, {"messages": turns("go", [use()])}, "without"),
    (MESSAGES, {"messages": turns("go", "ok", [result()])}, "without"),
    (MESSAGES, {"messages": turns("go", [THOUGHT, use()], [result()])}, "signature"),
    (MESSAGES, {"messages": turns("go", [use()], [result()])} | ENABLED, "Expected `thinking`"),
    (MESSAGES, {"messages": turns([SEEN])}, "media_type"),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 100}}, "budget_tokens"),
    (MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "max_tokens"),
    (MESSAGES, {"tools": [{"name": "a.b", "input_schema": {"type": "object"}}]}, "tools.name"),
    (MESSAGES, {"tools": [{"name": "a", "input_schema": {}}]}, "input_schema"),
    (MESSAGES, {"tool_choice": {"type": "auto"}}, "tool_choice"),
    (MESSAGES, {"tools": ANTHROPIC_TOOLS, "tool_choice": {"type": "required"}}, "tool_choice"),
]


@pytest.mark.parametrize(("path", "more", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_question_is_refused_by_name(path, more, said):
    body = {"model": "says", "messages": [GO], "stream": False}
    if path == MESSAGES:
        body["max_tokens"] = 2000
    if path == RESPONSES:
        body = {"model": "says", "input": "go"}
    assert post(path, body, HEADERS[path])[0] == 200, "even the right question is refused"
    status, text = post(path, body | more, HEADERS[path])
    assert status == 400 and said in text, (status, text)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (CHAT, {}),
        (CHAT, {"Authorization": "Bearer local"}),
        (CHAT, OPENAI | {"x-api-key": "local"}),
        (NATIVE, OPENAI),
        (MESSAGES, OPENAI | {"anthropic-version": "2023-06-01"}),
        (MESSAGES, ANTHROPIC | {"Authorization": "Bearer local"}),
    ],
)
def test_another_key_is_refused(path, headers):
    assert post(path, {"model": "says", "messages": [GO], "max_tokens": 9}, headers)[0] == 401


def test_the_newest_version_of_anthropic_has_no_temperature():
    body = {"model": "says", "messages": [GO], "max_tokens": 9, "temperature": 1}
    assert post(MESSAGES, body, ANTHROPIC)[0] == 200
    assert post(MESSAGES, body, NEW)[0] == 400


@pytest.mark.parametrize("digits", ["12345678901234567890", "12345678901234567168", "1.2345678901234567e19"])
@pytest.mark.parametrize("turned", [False, True])
def test_one_lost_digit_or_one_key_out_of_place_is_noticed(digits, turned):
    weather = CALLS[0][1]
    if turned:
        weather = json.dumps(dict(sorted(json.loads(weather).items())))
    count = CALLS[1][1].replace("12345678901234567890", digits)
    calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in [("a", "weather", weather), ("b", "count", count)]
    ]
    results = [{"role": "tool", "tool_call_id": id, "content": "1"} for id in "ba"]
    messages = [GO, {"role": "assistant", "tool_calls": calls}, *results]
    status, text = post(CHAT, {"model": "calls", "messages": messages}, OPENAI)
    right = digits == "12345678901234567890" and not turned
    assert status == (200 if right else 400), text
