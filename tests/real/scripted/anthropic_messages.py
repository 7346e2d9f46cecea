"""Anthropic's face: `/v1/messages`, `/v1/messages/count_tokens` and `/v1/models`, with its refusals."""

import base64
import json
import re

from scenes import CACHED, FELL, INPUT, OUTPUT, SCENES, Asked, Refusal, check, pieces, play

KEY = "sk-anthropicish"
CREATED = "2026-02-01T00:00:00Z"
SIGNATURE = "c2lnbmVk"
# Source: the anthropic wheel, types/message_create_params.py; the sampling fields are those of 0.x.
FIELDS = set(
    """max_tokens messages model cache_control container diagnostics inference_geo metadata output_config
    service_tier speed stop_sequences stream system thinking tool_choice tools user_profile_id""".split()
)
OLD_FIELDS = {"temperature", "top_p", "top_k"}
NEW = "2026-10-21"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ID = re.compile(r"[a-zA-Z0-9_-]+")
# Source: the anthropic wheel, types/shared/error_type.py.
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(status, message, _path=""):
    detail = {"type": KINDS.get(status, "api_error"), "message": message}
    return {"type": "error", "error": detail, "request_id": "req_scripted"}


def admit(headers):
    """Only this upstream's own key comes in, in either of its two places."""
    keys = {headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ") or None} - {None}
    check(keys == {KEY}, "invalid x-api-key", 401)
    check(headers.get("anthropic-version"), "anthropic-version: header is required")


def messages(body, headers):
    """Answers a message: an object, or the frames of a stream."""
    asked = read(body, headers)
    check(type(body.get("max_tokens")) is int and body["max_tokens"] > 0, "max_tokens: Field required")
    asked.limit = body["max_tokens"]
    said = play(asked)
    if body.get("stream"):
        return stream(body, said)
    if said.broken:
        raise Refusal(500, FELL)
    return whole(body, said)


def count_tokens(body, headers):
    check("max_tokens" not in body and "stream" not in body, "max_tokens: Extra inputs are not permitted")
    asked = read(body, headers)
    check(asked.model in SCENES, f"model: {asked.model}", 404)
    return {"input_tokens": INPUT}


# --- the question ---------------------------------------------------------------------------------


def read(body, headers):
    fields = FIELDS if headers["anthropic-version"] >= NEW else FIELDS | OLD_FIELDS
    for name in body:
        check(name in fields, f"{name}: Extra inputs are not permitted")
    check(isinstance(body.get("model"), str), "model: Field required")
    check(isinstance(body.get("messages"), list) and body["messages"], "messages: at least one message is required")
    asked = Asked(body["model"])
    asked.system = text_of(body.get("system", ""), "system") if body.get("system") else ""
    think(asked, body)
    history(asked, body["messages"], body)
    asked.stop = body.get("stop_sequences", [])
    check(all(stop.strip() for stop in asked.stop), "stop_sequences: each must contain non-whitespace")
    asked.temperature = body.get("temperature")
    check(asked.temperature is None or 0 <= asked.temperature <= 1, "temperature: range: 0..1")
    tools(asked, body)
    shape = body.get("output_config", {}).get("format")
    if shape is not None:
        check(shape.get("type") == "json_schema", "output_config.format.type: must be json_schema")
        check(isinstance(shape.get("schema"), dict), "output_config.format.schema: Field required")
        asked.schema = shape["schema"]
    return asked


def think(asked, body):
    """No thinking unless asked for, by `thinking` or by an effort."""
    effort = body.get("output_config", {}).get("effort")
    check(effort in (None, "low", "medium", "high", "xhigh", "max"), f"output_config.effort: {effort}")
    thinking = body.get("thinking", {"type": "adaptive"} if effort else {"type": "disabled"})
    kind = thinking.get("type")
    check(kind in ("enabled", "disabled", "adaptive", "between_tools"), f"thinking.type: {kind}")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        check(type(budget) is int and budget >= 1024, "thinking.enabled.budget_tokens: at least 1024")
        check("max_tokens" not in body or budget < body["max_tokens"], "max_tokens must be greater than budget_tokens")
        check(body.get("temperature", 1) == 1, "temperature may only be set to 1 when thinking is enabled")
    asked.effort = "none" if kind == "disabled" else effort or f"{thinking.get('budget_tokens', 'some')} tokens"


def tools(asked, body):
    for tool in body.get("tools", []):
        check(NAME.fullmatch(tool.get("name", "")), f"tools.name: {tool.get('name')}")
        check(tool.get("type", "custom") == "custom", f"tools.type: {tool.get('type')}")
        schema = tool.get("input_schema")
        check(isinstance(schema, dict) and schema.get("type") == "object", "tools.input_schema.type: Field required")
        asked.tools.append(tool["name"])
    choice = body.get("tool_choice", {"type": "auto"})
    check(asked.tools or "tool_choice" not in body, "tool_choice: may only be specified while providing tools")
    check(choice["type"] in ("auto", "any", "tool", "none"), f"tool_choice.type: {choice['type']}")
    if choice["type"] == "none":
        asked.tools = []
    elif choice["type"] != "auto":
        asked.forced = choice.get("name", "any")


def history(asked, turns, body):
    """Source of the rules: what api.anthropic.com answers, each with its own 400."""
    made, before = [], None
    for number, message in enumerate(turns):
        where = f"messages.{number}"
        role, content = message.get("role"), message.get("content")
        check(set(message) == {"role", "content"}, f"{where}: Extra inputs are not permitted: {set(message)}")
        check(role in ("user", "assistant"), f"{where}.role: {role}")
        check(number or role == "user", "messages: first message must use the user role")
        check(content, f"{where}: all messages must have non-empty content")
        check(role == "assistant" or role != before or not made, f"{where}: results in more than one message")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        asked.roles.append(role)
        before = role
        if role == "assistant":
            made = assistant(blocks, where)
            last_has_calls = bool(made)
            thinks = blocks[0]["type"] in ("thinking", "redacted_thinking")
            enabled = body.get("thinking", {}).get("type") == "enabled"
            if enabled and last_has_calls and number == len(turns) - 2:
                check(thinks, f"{where}.content.0.type: Expected `thinking`, but found `{blocks[0]['type']}`")
            continue
        results = [block for block in blocks if block["type"] == "tool_result"]
        check(blocks[: len(results)] == results, f"{where}: `tool_result` blocks must come first")
        check(
            sorted(result["tool_use_id"] for result in results) == sorted(call[0] for call in made),
            f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after, or the reverse",
        )
        answers = {result["tool_use_id"]: text_of(result.get("content", ""), where) for result in results}
        asked.calls = [(name, arguments, answers[id]) for id, name, arguments in made]
        made = []
        asked.user = text_of([block for block in blocks if block["type"] != "tool_result"], where)
        asked.images = [image(block, where) for block in blocks if block["type"] == "image"]
    check(not made, "`tool_use` ids were found without `tool_result` blocks immediately after")


def assistant(blocks, where):
    """The calls of a turn of the model: id, name, arguments."""
    made = []
    for block in blocks:
        kind = block.get("type")
        if kind == "thinking":
            check(block.get("signature") == SIGNATURE, f"{where}: Invalid `signature` in `thinking` block")
        elif kind == "tool_use":
            check(ID.fullmatch(block.get("id", "")), f"{where}.tool_use.id: {block.get('id')}")
            check(NAME.fullmatch(block.get("name", "")), f"{where}.tool_use.name: {block.get('name')}")
            check(isinstance(block.get("input"), dict), f"{where}.tool_use.input: Input should be an object")
            made.append((block["id"], block["name"], json.dumps(block["input"], ensure_ascii=False)))
        else:
            text_of([block], where)
    check(len({call[0] for call in made}) == len(made), f"{where}: `tool_use` ids must be unique")
    return made


def text_of(content, where):
    if isinstance(content, str):
        return content
    for block in content:
        check(block.get("type") in ("text", "image"), f"{where}: unknown block {block.get('type')}")
        check(block["type"] != "text" or block["text"], f"{where}: text content blocks must be non-empty")
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def image(block, where):
    source = block["source"]
    check(source["type"] == "base64", f"{where}.source: nothing is fetched here")
    kinds = ("image/jpeg", "image/png", "image/gif", "image/webp")
    check(source["media_type"] in kinds, f"{where}.source.media_type: {source['media_type']}")
    return base64.b64decode(source["data"], validate=True)


# --- the answer -----------------------------------------------------------------------------------

ENDINGS = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use"}


def usage(output):
    return {
        "input_tokens": INPUT - CACHED,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED,
        "output_tokens": output,
        "service_tier": "standard",
    }


def call_id(number):
    return f"toolu_01AbCdEfGhIjKlMnOpQrSt{number:02}"


def envelope(body, content, ending, output):
    return {
        "id": "msg_01Scripted",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": ending,
        "stop_sequence": None,
        "usage": usage(output),
    }


def whole(body, said):
    content = []
    if said.thought:
        content.append({"type": "thinking", "thinking": said.thought, "signature": SIGNATURE})
    if said.text:
        content.append({"type": "text", "text": said.text})
    for n, (name, arguments) in enumerate(said.calls):
        content.append({"type": "tool_use", "id": call_id(n), "name": name, "input": json.loads(arguments)})
    return envelope(body, content, ENDINGS[said.ending], OUTPUT)


def stream(body, said):
    """Source of the order: the API reference's own examples, PROTOCOLS 4.7."""
    yield frame("message_start", message=envelope(body, [], None, 1))
    blocks = []
    if said.thought:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(said.thought)]
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if said.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(said.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for n, (name, arguments) in enumerate(said.calls):
        parts = ["", *pieces(arguments, 7)]  # the first one is always empty
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        blocks.append(({"type": "tool_use", "id": call_id(n), "name": name, "input": {}}, deltas))
    for index, (start, deltas) in enumerate(blocks):
        yield frame("content_block_start", index=index, content_block=start)
        if index == 0:
            yield frame("ping")
        for delta in deltas:
            yield frame("content_block_delta", index=index, delta=delta)
        if not said.broken:
            yield frame("content_block_stop", index=index)
    if said.broken == "error":
        yield frame("error", **{k: v for k, v in error(529, FELL).items() if k != "type"})
    if said.broken:
        return
    delta = {"stop_reason": ENDINGS[said.ending], "stop_sequence": None}
    yield frame("message_delta", delta=delta, usage={"output_tokens": OUTPUT})
    yield frame("message_stop")


def frame(kind, **more):
    data = json.dumps({"type": kind} | more, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


# --- the rest -------------------------------------------------------------------------------------


def models():
    data = [described(name) for name in SCENES]
    return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


def model(name):
    check(name in SCENES, f"model: {name}", 404)
    return described(name)


def described(name):
    return {"type": "model", "id": name, "display_name": name.title(), "created_at": CREATED, "lifecycle": "active"}
