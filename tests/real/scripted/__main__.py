#!/usr/bin/env python3
"""A scripted upstream: OpenAI, Ollama and Anthropic on one free port, each as strict as the real one.

    python tests/real/scripted          says where it listens, and every refusal with its reason

OpenAI is under `/v1`, Ollama under `/api`, Anthropic under `/anthropic/v1`. The model's name chooses
the scene, see scenes.py; what they say is under `/script`, for tests in other languages.
"""

import http.server
import json
import sys

import anthropic_messages
import ollama_native
import openai_chat
import openai_responses
import scenes
from scenes import Refusal, check

ANTHROPIC = "/anthropic/v1"


def route(method, path, headers, body):
    """The answer: an object, or an iterator of the pieces of a stream."""
    if (method, path) == ("GET", "/script"):
        return scenes.script()
    if path.startswith("/anthropic"):
        anthropic_messages.admit(headers)
        if (method, path) == ("POST", f"{ANTHROPIC}/messages"):
            return anthropic_messages.messages(body, headers)
        if (method, path) == ("POST", f"{ANTHROPIC}/messages/count_tokens"):
            return anthropic_messages.count_tokens(body, headers)
        if method == "GET" and path.startswith(f"{ANTHROPIC}/models"):
            name = path.removeprefix(f"{ANTHROPIC}/models").removeprefix("/")
            return anthropic_messages.model(name) if name else anthropic_messages.models()
    elif path.startswith("/v1"):
        openai_chat.admit(headers)
        asked = {
            "/v1/chat/completions": openai_chat.chat,
            "/v1/responses": openai_responses.responses,
            "/v1/embeddings": openai_chat.embeddings,
        }.get(path)
        if method == "POST" and asked:
            return asked(body)
        if method == "GET" and path.startswith("/v1/models"):
            name = path.removeprefix("/v1/models").removeprefix("/")
            return openai_chat.model(name) if name else openai_chat.models()
    elif path.startswith("/api"):
        ollama_native.admit(headers)
        asked = {
            "/api/chat": ollama_native.chat,
            "/api/generate": ollama_native.generate,
            "/api/embed": ollama_native.embed,
            "/api/show": ollama_native.show,
        }.get(path)
        if method == "POST" and asked:
            return asked(body)
        lists = {
            "/api/tags": ollama_native.tags,
            "/api/ps": ollama_native.tags,
            "/api/version": lambda: {"version": "0.33.0"},
        }
        if method == "GET" and path in lists:
            return lists[path]()
    raise Refusal(404, f"no route {method} {path}")


def face(path):
    """The module whose dialect an error on this path is told in."""
    if path.startswith("/anthropic"):
        return anthropic_messages
    return ollama_native if path.startswith("/api") else openai_chat


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and the first piece leave at once, not when a second packet was confirmed.
    disable_nagle_algorithm = True

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def serve(self):
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        data = self.rfile.read(int(headers.get("content-length", 0))) if "content-length" in headers else self.chunks()
        try:
            answer = route(self.command, path, headers, self.parsed(data))
            first = None if isinstance(answer, dict) else next(answer)
        except Refusal as refusal:
            self.refuse(path, refusal, data)
            return
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # A body so wrong that no rule above names it: the client's fault all the same.
            self.refuse(path, Refusal(400, f"{type(error).__name__}: {error}"), data)
            return
        if first is None:
            self.whole(200, answer)
        else:
            kind = "application/x-ndjson" if path.startswith("/api") else "text/event-stream; charset=utf-8"
            self.stream(kind, first, answer)

    def parsed(self, data):
        if not data:
            return {}
        body = json.loads(data)
        check(isinstance(body, dict), "the body is no object")
        return body

    def chunks(self):
        """A body in chunks, as a gateway may pass one on; nothing when there is none."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return b""
        data = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def refuse(self, path, refusal, data):
        print(f"{refusal.status} on {path}: {refusal.message}; it was asked {data[:600]!r}", file=sys.stderr)
        self.whole(refusal.status, face(path).error(refusal.status, refusal.message), refusal.headers)

    def whole(self, status, answer, headers=None):
        data = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name in ("request-id", "x-request-id"):
            self.send_header(name, "req_scripted")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, kind, first, rest):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(first)
        for piece in rest:
            self.chunk(piece)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_):
        pass  # only refusals are worth a line


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left
            super().handle_error(request, client_address)


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(f"listening on {server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    server.serve_forever()
