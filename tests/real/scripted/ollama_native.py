"""Ollama's face: `/api/chat`, `/api/generate`, `/api/embed` and the lists, with Ollama's refusals."""

import base64
import binascii
import json

from scenes import (
    FELL, INPUT, OUTPUT, SCENES, Asked, Refusal, check, ordered, pieces, play, vector,
)  # fmt: skip

CREATED = "2026-08-21T10:00:00.123456789Z"
SHARED = {"model", "stream", "format", "keep_alive", "options", "think", "truncate", "shift", "logprobs",
          "top_logprobs"}  # fmt: skip
CHAT = SHARED | {"messages", "tools"}
GENERATE = SHARED | {"prompt", "suffix", "system", "template", "raw", "context", "images"}
MESSAGE = {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}
# Source of the types: ollama api/types.go, Options and Runner.
INTEGERS = set("num_keep seed num_predict top_k repeat_last_n num_ctx num_batch num_gpu main_gpu num_thread".split())
NUMBERS = set(
    "top_p min_p typical_p temperature repeat_penalty presence_penalty frequency_penalty".split()
)
CAPABLE = {
    "calls": ["completion", "tools", "thinking"],
    "calls-small": ["completion", "tools", "thinking"],
    "thinks": ["completion", "thinking"],
    "sees": ["completion", "vision"],
    "embeds": ["embedding"],
}


def error(_status, message, _path=""):
    return {"error": message}


def admit(headers):
    """Ollama takes no key, so whatever comes was meant for somebody else."""
    check("authorization" not in headers and "x-api-key" not in headers, "a key that is not mine", 401)


def bare(name):
    return name.removesuffix(":latest")


def capabilities(model):
    return CAPABLE.get(model, ["completion"])


# --- the question ---------------------------------------------------------------------------------


def read(body, fields):
    """What chat and generate have in common."""
    for name in body:
        check(name in fields, f"{name} means nothing to Ollama")
    check(isinstance(body.get("model"), str) and body["model"], "model is required")
    check(isinstance(body.get("stream", True), bool), "json: cannot unmarshal into Go struct field stream")
    asked = Asked(bare(body["model"]))
    options = body.get("options") or {}
    for name, value in options.items():
        known = name in INTEGERS | NUMBERS | {"stop"}
        right = isinstance(value, list) if name == "stop" else type(value) in (int, float)
        # A wrong type is a 500 here. Source: ollama api/types.go Options.FromMap.
        check(right or not known, f'option "{name}" must be of another type', 500)
    asked.limit, asked.stop = options.get("num_predict"), options.get("stop", [])
    asked.temperature, asked.seed = options.get("temperature"), options.get("seed")
    think = body.get("think")
    check(think in (None, True, False, "low", "medium", "high", "max"), f"invalid think value: {think!r}")
    can = capabilities(asked.model)
    check(not think or "thinking" in can, f'"{body["model"]}" does not support thinking')
    if think is None and asked.model == "thinks":
        think = True  # Ollama's default where the model can
    asked.effort = {None: "", True: "on", False: "none"}.get(think, think)
    shape = body.get("format")
    if shape == "json":
        asked.schema = {"type": "object", "properties": {"json": {"type": "boolean"}}}
    elif shape:
        check(isinstance(shape, dict), f"invalid format: {shape!r}", 500)
        asked.schema = shape
    return asked


def chat(body):
    asked = read(body, CHAT)
    messages = body.get("messages") or []
    if not messages:
        return loaded(body, {"message": {"role": "assistant", "content": ""}})
    history(asked, messages)
    for tool in body.get("tools") or []:
        check(tool.get("type") == "function" and tool["function"].get("name"), "a tool that is no function")
        check(isinstance(tool["function"].get("parameters", {}), dict), "parameters are not a schema")
        asked.tools.append(tool["function"]["name"])
    full = f"registry.ollama.ai/library/{asked.model}:latest"
    check(not asked.tools or "tools" in capabilities(asked.model), f"{full} does not support tools")
    return answer(body, play(asked), "message")


def generate(body):
    asked = read(body, GENERATE)
    if not body.get("prompt"):
        return loaded(body, {"response": ""})
    asked.user, asked.system, asked.roles = body["prompt"], body.get("system", ""), ["user"]
    asked.images = [decode(image) for image in body.get("images") or []]
    return answer(body, play(asked), "response")


def history(asked, messages):
    """Results are paired with calls by id where there is one, else by name."""
    made = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        for name in message:
            check(name in MESSAGE, f"{where}: {name} means nothing to Ollama")
        role = message.get("role")
        content = message.get("content", "")
        check(isinstance(content, str), f"json: cannot unmarshal into Go struct field {where}.content of type string")
        if role == "tool":
            name, given = message.get("tool_name"), message.get("tool_call_id")
            open_calls = [
                call
                for call in made
                if call["result"] is None and (not given or call["id"] == given) and name in (None, call["name"])
            ]
            check((given or name) and open_calls, f"{where}: a result without its call ({name}, {given})")
            open_calls[0]["result"] = content
            continue
        asked.roles.append(role)
        if role == "system":
            asked.system += content
        elif role == "user":
            asked.user = content
            asked.images = [decode(image) for image in message.get("images") or []]
        elif role == "assistant":
            made = [read_call(call, where) for call in message.get("tool_calls") or []]
        else:
            raise Refusal(400, f"{where}: unknown role {role}")
    check(all(call["result"] is not None for call in made), "a call without its result")
    asked.calls = [(call["name"], call["arguments"], call["result"]) for call in made]


def read_call(call, where):
    arguments = call["function"].get("arguments")
    check(
        isinstance(arguments, dict),
        f"json: cannot unmarshal into Go struct field {where}.tool_calls.function.arguments of type map",
    )
    # Python keeps order and digits when it reads and writes, so this is what came.
    text = json.dumps(arguments, ensure_ascii=False)
    ordered(text)
    return {"id": call.get("id", ""), "name": call["function"]["name"], "arguments": text, "result": None}


def decode(image):
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error:
        raise Refusal(400, "illegal base64 data at input byte 4") from None


# --- the answer -----------------------------------------------------------------------------------


def loaded(body, empty):
    head = {"model": body["model"], "created_at": CREATED}
    return head | empty | {"done": True, "done_reason": "unload" if body.get("keep_alive") == 0 else "load"}


def answer(body, said, shape):
    if said.broken and not body.get("stream", True):
        raise Refusal(500, FELL)
    head = {"model": body["model"], "created_at": CREATED}
    ending = {"stop": "stop", "length": "length", "calls": "stop"}[said.ending]
    done = {
        "done": True,
        "done_reason": ending,
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": INPUT,
        "prompt_eval_duration": 2_000_000,
        "eval_count": OUTPUT,
        "eval_duration": 2_000_000,
    }
    calls = [
        {"id": f"call_x{n}yzabcd", "function": {"index": n, "name": name, "arguments": json.loads(arguments)}}
        for n, (name, arguments) in enumerate(said.calls)
    ]

    def said_as(text="", thought="", calls=()):
        more = ({"thinking": thought} if thought else {}) | ({"tool_calls": list(calls)} if calls else {})
        if shape == "response":
            return {"response": text} | more
        return {"message": {"role": "assistant", "content": text} | more}

    if not body.get("stream", True):
        return head | said_as(said.text, said.thought, calls) | done

    def lines():
        for piece in pieces(said.thought):
            yield line(head | said_as(thought=piece) | {"done": False})
        for piece in pieces(said.text):
            yield line(head | said_as(piece) | {"done": False})
        if said.broken == "error":
            yield line({"error": FELL})
        if said.broken:
            return
        for call in calls:  # one line each, as its own template parsers do
            yield line(head | said_as(calls=[call]) | {"done": False})
        yield line(head | said_as() | done)

    return lines()


def line(data):
    """Go's encoder escapes these; the next line, U+0085, it does not, but nobody's client would survive that."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029\u0085":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"


# --- the rest -------------------------------------------------------------------------------------


def embed(body):
    check(bare(body.get("model", "")) == "embeds", f'model "{body.get("model")}" not found, try pulling it first', 404)
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    head = {"model": body["model"], "embeddings": [vector(text) for text in texts]}
    return head | {"total_duration": 1_000_000, "load_duration": 1_000, "prompt_eval_count": INPUT}


def digest(name):
    return name.encode().hex().ljust(64, "0")[:64]


DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "script",
    "families": ["script"],
    "parameter_size": "1M",
    "quantization_level": "F16",
}


def tags():
    models = [
        {
            "name": f"{name}:latest",
            "model": f"{name}:latest",
            "modified_at": CREATED,
            "size": 1000,
            "digest": digest(name),
            "details": DETAILS,
            "capabilities": capabilities(name),
        }
        for name in SCENES
    ]
    return {"models": models}


def show(body):
    name = bare(body.get("model") or body.get("name") or "")
    check(name in SCENES, f"model '{name}' not found", 404)
    return {
        "modelfile": "",
        "template": "{{ .Prompt }}",
        "details": DETAILS,
        "model_info": {"general.architecture": "script", "script.context_length": 8192},
        "capabilities": capabilities(name),
        "modified_at": CREATED,
    }
