#!/usr/bin/env python3
"""Put the tiny models into an Ollama and see that it makes text: `install.py OLLAMA_URL MODELS_DIR`.

Uses nothing but Ollama's API (blob upload, create, generate), so it also shows whether an Ollama is
good for the suite at all. Ends with status 1 and a reason when it is not.
"""

import hashlib
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

CHAT = '{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}assistant:'
# Mentioning .Tools and .Suffix is what gives a model the capabilities `tools` and `insert`.
CODER = (
    '{{ if .Suffix }}{{ .Prompt }} {{ .Suffix }}{{ else }}{{ if .Tools }}{{ .Tools }}\n{{ end }}'
    + CHAT
    + '{{ end }}'
)
# Without num_predict an answer would go on until the client leaves: the models never end by
# themselves. With several threads a busy machine makes each wait for the others at every step.
MODELS = [("tiny", "random-1.gguf", CHAT), ("tinycoder", "random-2.gguf", CODER)]
PARAMETERS = {"num_predict": 24, "num_thread": 1}


def call(url, body, method="POST"):
    """One request; the parsed lines of its answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        lines = [json.loads(line) for line in answer.read().splitlines() if line.strip()]
    for line in lines:
        if "error" in line:
            raise RuntimeError(line["error"])
    return lines


def install(ollama, folder):
    """Creates every model in MODELS."""
    for name, file, template in MODELS:
        data = (pathlib.Path(folder) / file).read_bytes()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        try:
            call(f"{ollama}/api/blobs/{digest}", b"", "HEAD")
        except urllib.error.HTTPError:  # not there yet; else it would answer without reading
            call(f"{ollama}/api/blobs/{digest}", data)
        body = {"model": name, "files": {file: digest}, "template": template, "parameters": PARAMETERS}
        lines = call(f"{ollama}/api/create", body)
        assert lines[-1] == {"status": "success"}, lines
        begun = time.monotonic()
        answer = call(f"{ollama}/api/generate", {"model": name, "prompt": "hi", "stream": False})[0]
        assert answer["response"].strip() and answer["eval_count"] > 0, answer
        print(f"{name}: {answer['response']!r} ({time.monotonic() - begun:.1f} s with loading)")


if __name__ == "__main__":
    try:
        install(sys.argv[1], sys.argv[2])
    except (OSError, RuntimeError, AssertionError, KeyError) as error:
        detail = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else ""
        sys.exit(f"install.py: {type(error).__name__}: {error} {detail}")
