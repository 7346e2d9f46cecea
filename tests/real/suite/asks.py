"""The questions that the suite asks, with everything fixed that decides the answer."""

import pytest

MODEL = "tiny"
MESSAGES = [{"role": "user", "content": "hi"}]

# Not from the gateway's memory, which gives a whole answer in one piece.
FRESH = {"Cache-Control": "no-store"}


def options(tokens=24, seed=7, **more):
    """Ollama's options. top_p and temperature are those that its own /v1 would force."""
    return {"seed": seed, "temperature": 1.0, "top_p": 1.0, "num_predict": tokens, **more}


def sampling(tokens=24, seed=7, **more):
    """The same for an OpenAI client."""
    return {"seed": seed, "temperature": 1.0, "top_p": 1.0, "max_tokens": tokens, **more}


def truth(direct, tokens=24, seed=7, **more):
    """What Ollama itself answers to MESSAGES: the text that every other way has to give."""
    body = {"model": MODEL, "messages": MESSAGES, "stream": False, "options": options(tokens, seed, **more)}
    answer = direct.call("POST", "/api/chat", body).json()
    assert answer["done"] and answer["eval_count"] <= tokens
    return answer


def has(front, path):
    """Skips where there is no such route: old Ollamas speak fewer dialects. A gateway must have them all."""
    if front.name == "ollama" and front.call("POST", path, {}).body.startswith(b"404 page"):
        pytest.skip(f"this Ollama has no {path}")
