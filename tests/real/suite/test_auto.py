"""The virtual model `auto`: wherever a client looks, and a real model behind it."""

import pytest

from asks import MESSAGES, options, sampling

pytestmark = pytest.mark.gateway

CODE = "Fix this:\n```python\ndef f(x):\n    return x +\n```\nSyntaxError: invalid syntax"
REAL = {"tiny", "tiny:latest", "tinycoder", "tinycoder:latest"}


def told(headers):
    """What the gateway says it used, without the name of the upstream in front."""
    return headers["x-unigate-model"].rpartition("/")[2]


def rule(headers):
    """The rule that decided; `;` begins the reason."""
    return headers["x-unigate-route"].partition(";")[0]


def test_auto_is_in_every_list(front):
    models = front.call("GET", "/api/tags").json()["models"]
    assert [model["name"] for model in models].count("auto:latest") == 1, models
    for model in models:
        assert set(models[0]) <= set(model), f"{model['name']} lacks keys that others have"
    assert "auto" in [model.id for model in front.openai().models.list()]
    assert front.openai().models.retrieve("auto").id == "auto"
    answer = front.call("POST", "/api/show", {"model": "auto"}).json()
    assert "completion" in answer["capabilities"]
    architecture = answer["model_info"]["general.architecture"]
    # Clients size their prompts by it, and take 4096 or less where it is missing.
    assert answer["model_info"][f"{architecture}.context_length"] > 0


def test_auto_is_not_something_that_runs(main):
    names = [model["name"] for model in main.call("GET", "/api/ps").json()["models"]]
    assert not [name for name in names if name.startswith("auto")]


def test_auto_answers_both_clients(front):
    chat = front.openai().chat.completions.with_raw_response.create(
        model="auto", messages=MESSAGES, **sampling(5)
    )
    assert chat.parse().usage.completion_tokens == 5
    assert told(chat.headers) in REAL
    assert chat.headers["x-unigate-route"]
    answer = front.ollama().chat("auto", MESSAGES, options=options(5))
    assert answer.eval_count == 5
    parts = list(front.ollama().generate("auto:latest", "hi", stream=True, options=options(5)))
    assert parts[-1].eval_count == 5


def test_code_goes_to_the_coder(front):
    body = {"model": "auto", "messages": [{"role": "user", "content": CODE}], "stream": False}
    for path, more in (
        ("/api/chat", {"options": options(3)}),
        ("/v1/chat/completions", sampling(3)),
    ):
        answer = front.call("POST", path, body | more)
        assert answer.status == 200, answer
        assert told(answer.headers) in ("tinycoder", "tinycoder:latest"), answer.headers
        assert rule(answer.headers) == "code", answer.headers


def test_a_rule_can_be_named(main):
    body = {"model": "auto:coder", "messages": MESSAGES, "stream": False, "options": options(3)}
    answer = main.call("POST", "/api/chat", body)
    assert answer.status == 200, answer
    assert told(answer.headers) in ("tinycoder", "tinycoder:latest")


def test_a_real_model_is_never_replaced(main):
    body = {"model": "tiny", "messages": [{"role": "user", "content": CODE}], "stream": False}
    answer = main.call("POST", "/api/chat", body | {"options": options(3)})
    assert told(answer.headers) in ("tiny", "tiny:latest")
    assert answer.json()["model"] == "tiny"
