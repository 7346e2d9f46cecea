"""What every test of the real suite shares: the fronts to speak to, the SDK clients, the log."""

import dataclasses
import json
import os
import pathlib
import signal
import sqlite3
import time
import urllib.error
import urllib.request

import ollama
import openai
import pytest


def pytest_collection_modifyitems(config, items):
    """Pointed at Ollama itself, leave out what only the gateway can do (left out, not skipped).

    What breaks things comes last, the clients that leave at the very end: Ollama may be left with
    a model that it cannot unload.
    """
    last = ["test_breaking.py", "test_leaving.py"]
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
    if "DIALECTS_URL" in os.environ:
        return
    left_out = [item for item in items if "gateway" in item.keywords]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if "gateway" not in item.keywords]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A raw HTTP answer; header names in lower case."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    def lines(self):
        """The NDJSON lines; a blank line is a fault, so it is not skipped."""
        assert self.body.endswith(b"\n"), self.body[-80:]
        return [json.loads(line) for line in self.body[:-1].split(b"\n")]

    def events(self):
        """The `data:` payloads of an event stream, `[DONE]` included as a string."""
        frames = self.body.decode().split("\n\n")
        assert frames.pop() == "", "the last frame is not ended by a blank line"
        assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames), frames
        return [f[6:] if f == "data: [DONE]" else json.loads(f[6:]) for f in frames]


@dataclasses.dataclass(frozen=True)
class Front:
    """An address that a client is pointed at, and what stands behind it."""

    name: str  # "gateway" (native Ollama behind it), "crossed" (OpenAI behind it), "ollama" (itself)
    url: str
    database: str | None = None

    def call(self, method, path, body=None, headers=(), timeout=30):
        """One request without any SDK. An object is sent as JSON, bytes and files as they are."""
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in dict(headers).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, lower(error.headers), error.read())

    def ollama(self, **more):
        return ollama.Client(self.url, timeout=30, **more)

    def openai(self):
        return openai.OpenAI(base_url=self.url + "/v1", api_key="local", max_retries=0, timeout=30)

    def watch(self):
        return Watch(self.database)


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


class Watch:
    """The rows of the requests that reach the gateway from now on; an earlier one may be written late."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.begin = int(time.time() * 1000)

    def _query(self, sql, *values):
        # A new connection for every look, as somebody at a prompt would: the gateway is running.
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql, values)]
        finally:
            connection.close()

    def rows(self, count=1):
        """Exactly `count` rows, in order; waits for the writer, and then for one row too many."""
        rows = wait_for(lambda: self._enough(count), f"{count} rows in {self.path.name}")
        time.sleep(0.3)
        rows = self.new()
        assert len(rows) == count, f"{len(rows)} rows for {count} requests: {rows}"
        return rows

    def row(self):
        return self.rows(1)[0]

    def new(self):
        return self._query("SELECT * FROM request_logs WHERE started_ms >= ? ORDER BY rowid", self.begin)

    def _enough(self, count):
        rows = self.new()
        return rows if len(rows) >= count else None


def wait_for(look, what, seconds=10.0):
    """Calls `look` until it gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


DIRECT = Front("ollama", os.environ.get("OLLAMA_URL", ""))
GATEWAY = Front("gateway", os.environ.get("GATEWAY_URL", ""), os.environ.get("GATEWAY_DB"))
CROSSED = Front("crossed", os.environ.get("CROSSED_URL", ""), os.environ.get("CROSSED_DB"))
FRONTS = [GATEWAY, CROSSED] if GATEWAY.url else [DIRECT]


@pytest.fixture(params=FRONTS, ids=lambda front: front.name)
def front(request):
    """Each way in: the gateway over native Ollama, the gateway over an OpenAI upstream."""
    return request.param


@pytest.fixture
def main():
    """The front with native Ollama behind it."""
    return FRONTS[0]


@pytest.fixture
def crossed():
    """The front whose only upstream speaks OpenAI."""
    return CROSSED


@pytest.fixture
def direct():
    """Ollama itself, for what only it can tell."""
    return DIRECT


class Runner:
    """Ollama's own processes: are they working?"""

    def __init__(self, pid):
        self.pid = pid

    def _family(self):
        """Ollama and the processes it started, which do the arithmetic."""
        parents = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(stat.parent.name)] = int(fields[1])
        family = {self.pid}
        for _ in range(3):
            family |= {child for child, parent in parents.items() if parent in family}
        return family

    def ticks(self):
        """CPU time used so far, in clock ticks of a hundredth of a second."""
        total = 0
        for pid in self._family():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += int(fields[11]) + int(fields[12])
        return total

    def load(self, seconds=0.3):
        """The share of one core used over the next moments."""
        before = self.ticks()
        time.sleep(seconds)
        return (self.ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds

    def busy(self):
        return self.load() > 0.5

    def idle(self):
        return self.load() < 0.1

    def stop(self):
        """Ends the processes that do the arithmetic; Ollama starts them again when asked."""
        for pid in self._family() - {self.pid}:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def runner():
    runner = Runner(int(os.environ["OLLAMA_PID"]))
    yield runner
    if not runner.idle():
        runner.stop()  # else one failure would be the failure of everything after it
