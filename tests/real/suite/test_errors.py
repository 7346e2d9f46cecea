"""What a wrong request gets: the client's dialect, the right class, and nothing half done."""

import ollama
import openai
import pytest

from asks import MESSAGES, MODEL

MISSING = "no-such-model"


def test_an_unknown_model_is_not_found_for_the_openai_client(front):
    client = front.openai()
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=MISSING, messages=MESSAGES)
    assert MISSING in caught.value.body["message"]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=MISSING, messages=MESSAGES, stream=True)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=MISSING, input="x")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(MISSING)


def test_an_unknown_model_is_not_found_for_the_ollama_client(front):
    client = front.ollama()
    asks = [
        lambda: client.chat(MISSING, MESSAGES),
        lambda: list(client.chat(MISSING, MESSAGES, stream=True)),
        lambda: client.generate(MISSING, "hi"),
        lambda: client.embed(MISSING, "hi"),
        lambda: client.show(MISSING),
    ]
    for number, ask in enumerate(asks):
        with pytest.raises(ollama.ResponseError) as caught:
            ask()
        assert caught.value.status_code == 404, (number, caught.value)
        assert MISSING in caught.value.error, (number, caught.value.error)


@pytest.mark.parametrize("body", [b"{", b"", b'{"model":"tiny"', b"[1]", b'"tiny"', b"\xff\xfe"])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/v1/chat/completions"])
def test_a_body_that_is_no_json_object_is_a_400(front, path, body):
    answer = front.call("POST", path, body)
    assert answer.status == 400, answer
    error_of(path, answer)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/chat/completions", {"model": MODEL, "messages": []}),
        ("/v1/chat/completions", {"model": MODEL, "messages": "hi"}),
        ("/v1/chat/completions", {"model": 7, "messages": MESSAGES}),
        ("/v1/embeddings", {"model": MODEL, "input": []}),
        ("/api/chat", {"messages": MESSAGES}),
        ("/api/chat", {"model": 7, "messages": MESSAGES}),
        ("/api/chat", {"model": MODEL, "messages": "hi"}),
        ("/api/embed", {"model": MODEL, "input": 7}),
    ],
)
def test_a_wrong_field_is_a_400_in_the_dialect_of_the_path(front, path, body):
    answer = front.call("POST", path, body)
    if path == "/v1/chat/completions" and "model" not in body and answer.status == 404:
        error_of(path, answer)  # Ollama's own answer to no model at all
        return
    assert answer.status == 400, answer
    error_of(path, answer)


@pytest.mark.gateway
def test_the_model_twice_is_refused(front):
    """Ollama would run the last one and a gateway that reads the first one would let it."""
    for body in (
        b'{"model":"tiny","model":"tinycoder","prompt":"hi"}',
        b'{"model":"tiny","MODEL":"tinycoder","prompt":"hi"}',
    ):
        answer = front.call("POST", "/api/generate", body)
        assert answer.status == 400, answer
        error_of("/api/generate", answer)


def test_unknown_paths_and_wrong_methods_are_told_so(front):
    assert front.call("GET", "/api/no-such-thing").status == 404
    assert front.call("GET", "/v1/no-such-thing").status == 404
    assert front.call("GET", "/api/chat").status in (404, 405)


def test_a_foreign_host_is_refused(main):
    """A page that rebinds its own name to 127.0.0.1 must not reach a local model."""
    assert main.call("GET", "/api/tags", headers={"Host": "evil.example"}).status == 403
    assert main.call("GET", "/api/tags", headers={"Host": "localhost"}).status == 200


def test_a_foreign_origin_is_refused_and_a_local_one_is_not(main):
    assert main.call("GET", "/api/tags", headers={"Origin": "https://evil.example"}).status == 403
    allowed = main.call("GET", "/api/tags", headers={"Origin": "http://localhost:3000"})
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_a_prompt_too_long_is_told_as_ollama_tells_it(main, direct):
    """It must not be shortened: nothing is streamed then, and the error has a status of its own.

    Old versions shorten it all the same, so Ollama itself says what is right.
    """
    body = {"model": MODEL, "prompt": "x " * 20000, "truncate": False, "options": {"num_predict": 1}}
    answer, expected = (at.call("POST", "/api/generate", body) for at in (main, direct))
    assert answer.status == expected.status
    if expected.status != 200:
        assert error_of("/api/generate", answer) == expected.json()["error"]


def error_of(path, answer):
    """The message of an error in the dialect that belongs to the path."""
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    error = answer.json()["error"]
    if path.startswith("/v1"):
        assert set(error) >= {"message", "type", "param", "code"}, error
        error = error["message"]
    assert isinstance(error, str) and error
    return error
