"""Models come and go through the gateway: pull, blobs, create, copy, delete, load, unload."""

import hashlib
import http.client
import http.server
import json
import os
import pathlib
import select
import threading
import time
import urllib.parse
import uuid

import ollama
import pytest

from asks import MODEL, options
from conftest import wait_for

MEGABYTE = 1 << 20
BIG = 300 * MEGABYTE
MAY_GROW = 40 * MEGABYTE


@pytest.fixture
def empty_registry():
    """A registry that has nothing, so that a pull fails here and not somewhere on the network."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_pull_of_an_unknown_model_ends_with_an_error_line(main, empty_registry):
    name = f"{empty_registry}/library/no-such-model"
    answer = main.call("POST", "/api/pull", {"model": name, "insecure": True})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.lines()
    assert lines[0] == {"status": "pulling manifest"}
    assert "file does not exist" in lines[-1]["error"]
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        list(main.ollama().pull(name, insecure=True, stream=True))
    with pytest.raises(ollama.ResponseError) as caught:
        main.ollama().pull(name, insecure=True)
    assert caught.value.status_code == 500


@pytest.fixture(scope="module")
def blob():
    """A file of random bytes, as incompressible as a model, and its digest."""
    path = pathlib.Path(os.environ["SCRATCH"]) / "blob"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(BIG // (10 * MEGABYTE)):
            chunk = os.urandom(10 * MEGABYTE)
            file.write(chunk)
            digest.update(chunk)
    yield path, "sha256:" + digest.hexdigest()
    path.unlink()


def test_a_big_blob_streams_through(main, blob):
    path, digest = blob
    assert main.call("HEAD", f"/api/blobs/{digest}").status == 404
    with peak_of_gateway() as grown, path.open("rb") as file:
        # As Ollama's command line does it: no length known, and a content type that is not true.
        answer = main.call("POST", f"/api/blobs/{digest}", file, timeout=60)
    assert (answer.status, answer.body) == (201, b"")
    assert grown() < MAY_GROW, f"the gateway grew by {grown() / MEGABYTE:.0f} MB"
    assert main.call("HEAD", f"/api/blobs/{digest}").status == 200


def test_a_big_blob_with_a_length_streams_through_and_a_wrong_digest_is_refused(main, blob):
    path, digest = blob
    wrong = "sha256:" + digest[-64:][::-1]
    with peak_of_gateway() as grown, path.open("rb") as file:
        headers = {"Content-Length": str(BIG), "Content-Type": "application/octet-stream"}
        answer = main.call("POST", f"/api/blobs/{wrong}", file, headers, timeout=60)
    assert answer.status == 400, answer
    assert grown() < MAY_GROW, f"the gateway grew by {grown() / MEGABYTE:.0f} MB"
    assert main.call("HEAD", f"/api/blobs/{wrong}").status == 404


@pytest.fixture
def stored(blob, direct):
    """The same file, and Ollama has it."""
    path, digest = blob
    if direct.call("HEAD", f"/api/blobs/{digest}").status != 200:
        with path.open("rb") as file:
            assert direct.call("POST", f"/api/blobs/{digest}", file, timeout=60).status == 201
    return path, digest


def test_a_blob_that_is_there_already_is_answered_before_it_was_sent(main, stored):
    """Ollama does not read it then and closes: its answer must not be lost in the noise of that."""
    path, digest = stored
    for _ in range(3):
        assert main.ollama().create_blob(path) == digest


def test_an_early_answer_is_not_lost_and_says_what_becomes_of_the_connection(main, stored):
    """Ollama's command line asks the next thing over the same connection unless told not to.

    So either the answer says that the connection will be closed, or the rest of the upload is taken
    and the connection goes on. And it is not torn down before the answer can be read.
    """
    path, digest = stored
    for _ in range(5):
        place = urllib.parse.urlsplit(main.url).netloc
        connection = http.client.HTTPConnection(place, timeout=30)
        connection.putrequest("POST", f"/api/blobs/{digest}")
        connection.putheader("Content-Length", str(BIG))
        connection.endheaders()
        with path.open("rb") as file:
            while chunk := file.read(MEGABYTE // 16):
                if select.select([connection.sock], [], [], 0)[0]:
                    break  # answered before everything was sent
                connection.send(chunk)
            time.sleep(0.05)  # a client is not always this quick
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            if not answer.will_close:
                while chunk:
                    connection.send(chunk)
                    chunk = file.read(MEGABYTE)
                connection.request("GET", "/api/version")
                assert connection.getresponse().status == 200
        connection.close()


class peak_of_gateway:
    """The most memory that the gateway had in the block above what it had before, in bytes."""

    def __enter__(self):
        self.process = pathlib.Path("/proc") / os.environ.get("GATEWAY_PID", str(os.getpid()))
        (self.process / "clear_refs").write_text("5")  # the peak starts again from here
        self.before = self._status("VmRSS")
        self.grown = None
        return lambda: self.grown

    def __exit__(self, *_):
        self.grown = self._status("VmHWM") - self.before

    def _status(self, key):
        lines = (self.process / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def test_a_model_is_created_copied_used_and_deleted(main):
    client = main.ollama()
    name = f"made-{uuid.uuid4().hex[:8]}"
    digest = client.create_blob(pathlib.Path(os.environ["MODEL_FILES"]) / "random-1.gguf")
    steps = list(
        client.create(
            name,
            files={"model.gguf": digest},
            parameters={"num_predict": 4, "num_thread": 1},
            template="{{ .Prompt }}",
            stream=True,
        )
    )
    assert steps[-1].status == "success" and len(steps) > 1
    assert client.generate(name, "hi").eval_count == 4
    assert client.copy(name, name + "-copy").status == "success"
    assert client.generate(name + "-copy", "hi").eval_count == 4
    # What is new is seen at once by everyone, not when the gateway looks again.
    assert f"{name}:latest" in [m.model for m in client.list().models]
    assert f"{name}:latest" in [m.id for m in main.openai().models.list()]
    chat = main.openai().chat.completions.create(
        model=name, messages=[{"role": "user", "content": "hi"}]
    )
    assert chat.usage.completion_tokens == 4
    for each in (name, name + "-copy"):
        assert client.delete(each).status == "success"
    with pytest.raises(ollama.ResponseError) as caught:
        client.generate(name, "something new")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as caught:
        client.delete(name)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("streamed", [False, True], ids=["unstreamed", "streamed"])
def test_a_model_that_was_made_again_is_not_answered_from_memory(main, streamed):
    """Who edits a Modelfile and creates the model again wants to see what it changed."""
    client = main.ollama()
    name = f"again-{uuid.uuid4().hex[:8]}"

    def tokens():
        answer = client.generate(name, "hi", options={"seed": 1}, stream=streamed)
        return (list(answer)[-1] if streamed else answer).eval_count

    for limit in (3, 6):
        client.create(name, from_=MODEL, parameters={"num_predict": limit, "num_thread": 1})
        assert tokens() == limit
    client.delete(name)
    with pytest.raises(ollama.ResponseError):
        tokens()


def test_copy_and_delete_answer_with_an_empty_body(main):
    answer = main.call("POST", "/api/copy", {"source": MODEL, "destination": "copied"})
    assert (answer.status, answer.body) == (200, b"")
    answer = main.call("DELETE", "/api/delete", {"name": "copied"})
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("path", "empty"), [("/api/chat", {"messages": []}), ("/api/generate", {"prompt": ""})]
)
def test_an_empty_request_loads_and_unloads(main, direct, path, empty):
    def loaded():
        models = direct.call("GET", "/api/ps").json()["models"]
        return "tiny:latest" in [model["name"] for model in models]

    def one_object(answer):
        """Never a stream of lines, whatever `stream` says."""
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("application/json")
        return json.loads(answer.body)

    unload = one_object(main.call("POST", path, {"model": MODEL, "keep_alive": 0} | empty))
    assert unload["done"] is True and unload["done_reason"] == "unload"
    wait_for(lambda: not loaded(), "tiny to be unloaded")
    load = one_object(main.call("POST", path, {"model": MODEL} | empty))
    assert load["done"] is True and load["done_reason"] == "load"
    assert loaded()
    wait_for(loaded, "tiny to be loaded")


@pytest.mark.gateway
def test_an_openai_upstream_has_nothing_to_manage(crossed):
    digest = "sha256:" + "0" * 64
    for method, path, body in (
        ("POST", "/api/create", {"model": "x", "from": MODEL}),
        ("POST", "/api/copy", {"source": MODEL, "destination": "x"}),
        ("DELETE", "/api/delete", {"model": MODEL}),
        ("POST", f"/api/blobs/{digest}", b"x"),
    ):
        answer = crossed.call(method, path, body)
        assert answer.status in (400, 404, 501), (path, answer)
        assert isinstance(answer.json()["error"], str)


@pytest.mark.gateway
def test_an_openai_upstream_is_always_loaded(crossed):
    answer = crossed.ollama().generate(MODEL, "")
    assert answer.done and answer.done_reason == "load"
    assert crossed.ollama().generate(MODEL, "hi", options=options(3)).eval_count == 3
