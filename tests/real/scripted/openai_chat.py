"""OpenAI's face: `/chat/completions`, `/embeddings` and `/models`, with OpenAI's own refusals."""

import base64
import json
import struct

from scenes import CACHED, FELL, INPUT, OUTPUT, SCENES, Asked, Refusal, check, pieces, play, vector

KEY = "sk-openaiish"
CREATED = 1700000000
# Source: the openai wheel, types/chat/completion_create_params.py.
FIELDS = set(
    """messages model audio frequency_penalty function_call functions logit_bias logprobs
    max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction
    presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
    response_format safety_identifier seed service_tier stop store stream stream_options temperature
    tool_choice tools top_logprobs top_p user verbosity web_search_options""".split()
)
# What a model's own message carries as null, or OpenAI's own helpers add to it, and clients send back so.
MAY_BE_NULL = {"content", "refusal", "audio", "function_call", "annotations", "parsed"}
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}


def error(status, message, _path=""):
    """The body of a refusal."""
    kind = {429: "rate_limit_exceeded"}.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = {404: "model_not_found", 401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def admit(headers):
    """Only this upstream's own key comes in: not the client's, and not another upstream's."""
    check(headers.get("authorization") == f"Bearer {KEY}", "Incorrect API key provided", 401)
    check("x-api-key" not in headers, "a key that is not mine", 401)


def chat(body):
    """Answers a chat: an object, or the frames of a stream."""
    asked = read(body)
    said = play(asked)
    if body.get("stream"):
        return stream(body, said)
    if said.broken:
        raise Refusal(500, FELL)
    return whole(body, said)


# --- the question ---------------------------------------------------------------------------------


def read(body):
    """The question, or the refusal that OpenAI would give."""
    for name, value in body.items():
        check(name in FIELDS, f"Unrecognized request argument supplied: {name}")
        check(value is not None, f"Invalid type for '{name}': expected a value, but got null instead.")
    check(isinstance(body.get("model"), str), "you must provide a model parameter")
    check(isinstance(body.get("messages"), list) and body["messages"], "'messages' is too short")
    check(
        not ("max_tokens" in body and "max_completion_tokens" in body),
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    )
    check("stream_options" not in body or body.get("stream") is True, "'stream_options' without 'stream'")
    asked = Asked(body["model"])
    history(asked, body["messages"])
    asked.limit = body.get("max_completion_tokens", body.get("max_tokens"))
    check(asked.limit is None or type(asked.limit) is int and asked.limit > 0, "a wrong limit")
    stop = body.get("stop", [])
    asked.stop = [stop] if isinstance(stop, str) else stop
    asked.temperature, asked.seed = body.get("temperature"), body.get("seed")
    asked.effort = body.get("reasoning_effort", "")
    check(asked.effort in EFFORTS | {""}, f"Invalid value for 'reasoning_effort': {asked.effort}")
    if asked.model == "thinks" and not asked.effort:
        asked.effort = "medium"  # such models think unless told not to
    tools(asked, body)
    shape = body.get("response_format", {"type": "text"})
    if shape["type"] == "json_schema":
        check(shape["json_schema"].get("name"), "Missing required parameter: 'response_format.json_schema.name'.")
        asked.schema = shape["json_schema"]["schema"]
    elif shape["type"] == "json_object":
        asked.schema = {"type": "object", "properties": {"json": {"type": "boolean"}}}
    return asked


def tools(asked, body):
    for tool in body.get("tools", []):
        check(tool.get("type") == "function" and tool["function"].get("name"), "a tool that is no function")
        parameters = tool["function"].get("parameters", {"type": "object"})
        check(isinstance(parameters, dict), "'parameters' is not a schema")
        asked.tools.append(tool["function"]["name"])
    choice = body.get("tool_choice", "auto")
    check(asked.tools or "tool_choice" not in body, "'tool_choice' is only allowed when 'tools' are specified.")
    check(asked.tools or "tools" not in body, "[] is too short - 'tools'")
    if choice == "none":
        asked.tools = []
    elif isinstance(choice, dict):
        asked.forced = choice["function"]["name"]
    elif choice == "required":
        asked.forced = "any"


def history(asked, messages):
    """Reads the messages in order; every call has to be answered before the next turn."""
    waiting, made = [], []
    for number, message in enumerate(messages):
        where = f"messages.[{number}]"
        role = message.get("role")
        for name, value in message.items():
            check(value is not None or name in MAY_BE_NULL, f"{where}.{name} is null")
        if role == "tool":
            check(
                message.get("tool_call_id") in waiting,
                f"{where}: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
            )
            waiting.remove(message["tool_call_id"])
            result = text_of(message["content"], where)
            made = [(i, n, a, result if i == message["tool_call_id"] else r) for i, n, a, r in made]
            continue
        check(not waiting, f"{where}: tool_call_ids without a response: {', '.join(waiting)}")
        asked.roles.append(role)
        if role in ("system", "developer"):
            asked.system += text_of(message["content"], where)
        elif role == "user":
            # Results stay results when the user says something after them.
            asked.user, asked.images = text_of(message["content"], where), images(message["content"])
        elif role == "assistant":
            made = [read_call(call, where) for call in message.get("tool_calls") or []]
            waiting = [call[0] for call in made]
            check(len(set(waiting)) == len(waiting), f"{where}: two calls have the same id")
            content = message.get("content")
            check(content is not None or made, f"{where}: no content and no calls")
            if content is not None:
                text_of(content, where)
        else:
            raise Refusal(400, f"{where}: unknown role {role}")
    check(not waiting, f"tool_call_ids without a response: {', '.join(waiting)}")
    asked.calls = [call[1:] for call in made]


def read_call(call, where):
    check(call.get("type") == "function", f"{where}: a call without its type")
    check(isinstance(call.get("id"), str) and 0 < len(call["id"]) <= 64, f"{where}: a call without a good id")
    arguments = call["function"].get("arguments")
    check(isinstance(arguments, str), f"{where}: arguments are not a string")
    check(isinstance(json.loads(arguments or "{}"), dict), f"{where}: arguments are not an object")
    return call["id"], call["function"]["name"], arguments, None


def text_of(content, where):
    if isinstance(content, str):
        return content
    check(isinstance(content, list) and content, f"{where}.content: expected a string or an array of parts")
    for part in content:
        check(part.get("type") in ("text", "image_url", "refusal"), f"{where}: unknown part {part.get('type')}")
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def images(content):
    found = [] if isinstance(content, str) else [p["image_url"]["url"] for p in content if p["type"] == "image_url"]
    return [data_url(url) for url in found]


def data_url(url):
    """The bytes of an image; this upstream fetches nothing."""
    head, comma, data = url.partition(",")
    check(comma and head.startswith("data:image/") and head.endswith(";base64"), f"no image: {url[:40]}")
    return base64.b64decode(data, validate=True)


# --- the answer -----------------------------------------------------------------------------------

ENDINGS = {"stop": "stop", "length": "length", "calls": "tool_calls"}


def usage(said):
    return {
        "prompt_tokens": INPUT,
        "completion_tokens": OUTPUT,
        "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3 if said.thought else 0, "audio_tokens": 0},
    }


def call_id(number):
    return f"call_AbCdEfGhIjKlMnOpQrStU{number:03}"


def whole(body, said):
    message = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    if said.thought:
        message["reasoning"] = said.thought
    if said.calls:
        message["tool_calls"] = [
            {"id": call_id(n), "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(said.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": ENDINGS[said.ending]}
    head = {"id": "chatcmpl-scripted", "object": "chat.completion", "created": CREATED, "model": body["model"]}
    return head | {"choices": [choice], "usage": usage(said), "system_fingerprint": "fp_scripted"}


def stream(body, said):
    """Source of the order: what api.openai.com sends, PROTOCOLS 3.3."""
    counted = body.get("stream_options", {}).get("include_usage", False)
    head = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": CREATED, "model": body["model"]}
    head |= {"service_tier": "default", "system_fingerprint": "fp_scripted"}

    def chunk(delta, ending=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ending}
        return frame(head | {"choices": [choice]} | ({"usage": None} if counted else {}))

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in pieces(said.thought):
        yield chunk({"reasoning": piece})
    for piece in pieces(said.text):
        yield chunk({"content": piece})
    for n, (name, arguments) in enumerate(said.calls):
        function = {"name": name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": n, "id": call_id(n), "type": "function", "function": function}]})
        for piece in pieces(arguments, 7):
            yield chunk({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
    if said.broken == "error":
        yield frame(error(500, FELL))
    if said.broken:
        return
    yield chunk({}, ENDINGS[said.ending])
    if counted:
        yield frame(head | {"choices": [], "usage": usage(said)})
    yield b"data: [DONE]\n\n"


def frame(data):
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


# --- the rest -------------------------------------------------------------------------------------


def embeddings(body):
    check(body.get("model") == "embeds", f"The model '{body.get('model')}' does not exist", 404)
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    check(texts and all(isinstance(text, str) for text in texts), "'$.input' is invalid")
    encoding = body.get("encoding_format", "float")
    check(encoding in ("float", "base64"), f"unknown encoding_format {encoding}")

    def encoded(numbers):
        return numbers if encoding == "float" else base64.b64encode(struct.pack("<4f", *numbers)).decode()

    data = [
        {"object": "embedding", "index": n, "embedding": encoded(vector(text))} for n, text in enumerate(texts)
    ]
    return {
        "object": "list",
        "data": data,
        "model": "embeds",
        "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT},
    }


def models():
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "script"} for name in SCENES]
    return {"object": "list", "data": data}


def model(name):
    check(name in SCENES, f"The model '{name}' does not exist", 404)
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "script"}
