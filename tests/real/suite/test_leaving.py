"""A client that goes away: Ollama stops working, the next one is served, the log says cancelled."""

import http.client
import json
import time
import urllib.parse

import pytest

from asks import MESSAGES, MODEL, options, sampling
from conftest import wait_for

LONG = 100_000  # minutes of work: nobody waits for it

ASKS = {
    "chat": ("/api/chat", {"model": MODEL, "messages": MESSAGES, "options": options(LONG)}),
    "generate": ("/api/generate", {"model": MODEL, "prompt": "hi", "options": options(LONG)}),
    "openai": ("/v1/chat/completions", {"model": MODEL, "messages": MESSAGES, **sampling(LONG)}),
}


def leave(front, path, body, runner, streamed):
    """Asks, waits until Ollama is at work (and for some pieces), and closes the connection."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(front.url).netloc, timeout=30)
    connection.request(
        "POST",
        path,
        json.dumps(body | {"stream": streamed}),
        {"Content-Type": "application/json"},
    )
    if streamed:
        answer = connection.getresponse()
        assert answer.status == 200
        assert all(answer.readline() for _ in range(10))
        answer.close()  # it holds the socket too
    wait_for(runner.busy, "Ollama to be at work: else this test shows nothing")
    connection.close()


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "unstreamed"])
@pytest.mark.parametrize("ask", ASKS)
def test_ollama_goes_idle_when_the_client_leaves(front, runner, ask, streamed):
    path, body = ASKS[ask]
    wait_for(runner.idle, "Ollama to be idle before this test")
    watch = front.watch() if front.database else None
    leave(front, path, body, runner, streamed)
    begun = time.monotonic()
    wait_for(runner.idle, "Ollama to go idle", seconds=5)
    gone = time.monotonic() - begun
    served = front.ollama().chat(MODEL, MESSAGES, options=options(2))
    assert served.done
    assert time.monotonic() - begun < 6, f"idle after {gone:.1f} s"
    if watch:
        rows = watch.rows(2)
        row = next(row for row in rows if row["path"] == path and row["ending"] != "complete")
        assert row["ending"] == "cancelled", row
        assert row["streamed"] == int(streamed), row
        assert row["attempts"] == 1, row
        assert 0 < row["latency_ms"] < 30_000, row


def test_one_client_leaving_does_not_disturb_another(front, runner):
    """Both are in Ollama at once; the one that stays gets the whole answer."""
    place = urllib.parse.urlsplit(front.url).netloc
    path, body = ASKS["chat"]
    headers = {"Content-Type": "application/json"}
    leaves = http.client.HTTPConnection(place, timeout=30)
    leaves.request("POST", path, json.dumps(body), headers)
    first = leaves.getresponse()
    assert first.readline()
    stays = http.client.HTTPConnection(place, timeout=30)
    stays.request("POST", path, json.dumps(body | {"options": options(300)}), headers)
    answer = stays.getresponse()
    assert answer.readline()
    first.close()
    leaves.close()
    last = json.loads(answer.read().splitlines()[-1])
    stays.close()
    assert last["done"] and last["eval_count"] == 300
    wait_for(runner.idle, "Ollama to go idle", seconds=5)
