"""OpenAI's other face: `/v1/responses`, with the events that api.openai.com sends."""

import json

from openai_chat import CREATED, EFFORTS, data_url
from scenes import CACHED, FELL, INPUT, OUTPUT, Asked, Refusal, check, pieces, play

# Source: the openai wheel, types/responses/response_create_params.py.
FIELDS = set(
    """background context_management conversation include input instructions max_output_tokens max_tool_calls
    metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream
    stream_options temperature text tool_choice tools top_logprobs top_p truncation user""".split()
)
kept = {}  # the conversation so far, by the id of the answer that ended it


def responses(body):
    """Answers a question: an object, or the frames of a stream."""
    asked, items = read(body)
    said = play(asked)
    if said.broken and not body.get("stream"):
        raise Refusal(500, FELL)
    answer = Answer(body, said)
    if body.get("store", True) and not said.broken:
        kept[answer.id] = items + answer.output()
    return answer.stream() if body.get("stream") else answer.whole()


# --- the question ---------------------------------------------------------------------------------


def read(body):
    for name in body:
        check(name in FIELDS, f"Unknown parameter: '{name}'.")
    check(isinstance(body.get("model"), str), "Missing required parameter: 'model'.")
    asked = Asked(body["model"])
    given = body.get("input", [])
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    before = body.get("previous_response_id")
    check(before is None or before in kept, f"Previous response with id '{before}' not found.")
    items = kept.get(before, []) + items
    check(items, "Missing required parameter: 'input'.")
    asked.system = body.get("instructions") or ""
    history(asked, items)
    asked.limit, asked.temperature = body.get("max_output_tokens"), body.get("temperature")
    asked.effort = (body.get("reasoning") or {}).get("effort") or ""
    check(asked.effort in EFFORTS | {""}, f"Invalid value: '{asked.effort}'.")
    if asked.model == "thinks" and not asked.effort:
        asked.effort = "medium"
    for tool in body.get("tools", []):
        check(tool.get("type") == "function" and tool.get("name"), "Missing required parameter: 'tools[0].name'.")
        asked.tools.append(tool["name"])
    choice = body.get("tool_choice", "auto")
    if choice == "none":
        asked.tools = []
    elif isinstance(choice, dict):
        asked.forced = choice["name"]
    elif choice == "required":
        asked.forced = "any"
    shape = (body.get("text") or {}).get("format") or {"type": "text"}
    if shape["type"] == "json_schema":
        check(shape.get("name"), "Missing required parameter: 'text.format.name'.")
        asked.schema = shape["schema"]
    return asked, items


def history(asked, items):
    made = []
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        where = f"input[{number}]"
        if kind == "function_call":
            check(isinstance(item["arguments"], str), f"{where}.arguments: expected a string")
            made.append([item["call_id"], item["name"], item["arguments"], None])
        elif kind == "function_call_output":
            found = [call for call in made if call[0] == item["call_id"]]
            check(found, f"No tool call found for function call output with call_id {item['call_id']}.")
            found[0][3] = item["output"]
        elif kind == "message":
            role = item["role"]
            check(role in ("user", "assistant", "system", "developer"), f"{where}.role: {role}")
            text, images = content_of(item["content"], role, where)
            asked.roles.append(role)
            if role in ("system", "developer"):
                asked.system += text
            if role == "user":
                asked.user, asked.images = text, images
            elif role == "assistant" and all(call[3] is not None for call in made):
                made = []  # a turn that was ended
        else:
            check(kind == "reasoning", f"{where}.type: {kind}")
    for call in made:
        check(call[3] is not None, f"No tool output found for function call {call[0]}.")
    asked.calls = [tuple(call[1:]) for call in made]


def content_of(content, role, where):
    if isinstance(content, str):
        return content, []
    text = "output_text" if role == "assistant" else "input_text"
    for part in content:
        check(part["type"] in (text, "input_image", "refusal"), f"{where}.content: {part['type']}")
    images = [data_url(part["image_url"]) for part in content if part["type"] == "input_image"]
    return "\n".join(part["text"] for part in content if part["type"] == text), images


# --- the answer -----------------------------------------------------------------------------------


class Answer:
    """One answer, whole or in events; both show the same items."""

    def __init__(self, body, said):
        self.body, self.said = body, said
        self.id = f"resp_{len(kept):032x}"
        self.number = 0

    def output(self):
        items = []
        if self.said.thought:
            summary = [{"type": "summary_text", "text": self.said.thought}]
            items.append({"type": "reasoning", "id": "rs_1", "summary": summary})
        if self.said.text:
            status = "incomplete" if self.said.ending == "length" else "completed"
            items.append(self.message(status, [self.part(self.said.text)]))
        for n, (name, arguments) in enumerate(self.said.calls):
            items.append(self.call(n, name, arguments, "completed"))
        return items

    def message(self, status, content):
        return {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}

    def part(self, text):
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def call(self, n, name, arguments, status):
        ids = {"id": f"fc_{n}", "call_id": f"call_Responses{n}"}
        return {"type": "function_call", "status": status, "name": name, "arguments": arguments} | ids

    def whole(self, status=None, output=None):
        cut = self.said.ending == "length"
        status = status or ("incomplete" if cut else "completed")
        ended = status in ("completed", "incomplete")
        usage = {
            "input_tokens": INPUT,
            "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens": OUTPUT,
            "output_tokens_details": {"reasoning_tokens": 3 if self.said.thought else 0},
            "total_tokens": INPUT + OUTPUT,
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": self.body.get("instructions"),
            "max_output_tokens": self.body.get("max_output_tokens"),
            "model": self.body["model"],
            "output": self.output() if output is None else output,
            "parallel_tool_calls": True,
            "previous_response_id": self.body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "store": self.body.get("store", True),
            "temperature": 1.0,
            "text": self.body.get("text", {"format": {"type": "text"}}),
            "tool_choice": self.body.get("tool_choice", "auto"),
            "tools": self.body.get("tools", []),
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage if ended else None,
            "metadata": {},
        }

    def event(self, kind, **more):
        data = {"type": kind, "sequence_number": self.number} | more
        self.number += 1
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()

    def stream(self):
        """Source of the order: recorded streams of api.openai.com, PROTOCOLS 2.5."""
        begun = self.whole("in_progress", [])
        yield self.event("response.created", response=begun)
        yield self.event("response.in_progress", response=begun)
        index = 0
        for part in (self.think, self.text):
            events = list(part(index))
            index += bool(events)
            yield from events
        if self.said.broken == "error":
            # The reference shows these fields at the top; what comes is nested. Source: openai-dotnet issue 881.
            detail = {"type": "server_error", "code": "server_error", "message": FELL, "param": None}
            yield self.event("error", error=detail)
        if self.said.broken:
            return
        for n, (name, arguments) in enumerate(self.said.calls):
            yield from self.calling(index + n, n, name, arguments)
        done = self.whole()
        yield self.event(f"response.{done['status']}", response=done)

    def think(self, index):
        if not self.said.thought:
            return
        at = {"item_id": "rs_1", "output_index": index}
        whole = {"type": "summary_text", "text": self.said.thought}
        item = {"type": "reasoning", "id": "rs_1", "summary": []}
        yield self.event("response.output_item.added", output_index=index, item=item)
        empty = {"type": "summary_text", "text": ""}
        yield self.event("response.reasoning_summary_part.added", **at, summary_index=0, part=empty)
        for piece in pieces(self.said.thought):
            yield self.event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=piece)
        yield self.event("response.reasoning_summary_text.done", **at, summary_index=0, text=self.said.thought)
        yield self.event("response.reasoning_summary_part.done", **at, summary_index=0, part=whole)
        yield self.event("response.output_item.done", output_index=index, item=item | {"summary": [whole]})

    def text(self, index):
        if not self.said.text:
            return
        at = {"item_id": "msg_1", "output_index": index, "content_index": 0}
        yield self.event("response.output_item.added", output_index=index, item=self.message("in_progress", []))
        yield self.event("response.content_part.added", **at, part=self.part(""))
        for piece in pieces(self.said.text):
            yield self.event("response.output_text.delta", **at, delta=piece, logprobs=[])
        if self.said.broken:
            return
        yield self.event("response.output_text.done", **at, text=self.said.text, logprobs=[])
        yield self.event("response.content_part.done", **at, part=self.part(self.said.text))
        done = [item for item in self.output() if item["type"] == "message"][0]
        yield self.event("response.output_item.done", output_index=index, item=done)

    def calling(self, index, n, name, arguments):
        at = {"item_id": f"fc_{n}", "output_index": index}
        item = self.call(n, name, "", "in_progress")
        yield self.event("response.output_item.added", output_index=index, item=item)
        for piece in pieces(arguments, 7):
            yield self.event("response.function_call_arguments.delta", **at, delta=piece)
        yield self.event("response.function_call_arguments.done", **at, name=name, arguments=arguments)
        done = self.call(n, name, arguments, "completed")
        yield self.event("response.output_item.done", output_index=index, item=done)
