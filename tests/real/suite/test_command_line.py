"""Ollama's own command line, pointed at the gateway by OLLAMA_HOST alone."""

import os
import pathlib
import subprocess

import pytest

from asks import MODEL
from conftest import wait_for


def cli(front, *arguments, status=0, folder=None):
    """Runs `ollama ARGUMENTS`; what it wrote to its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["SCRATCH"],
        "OLLAMA_HOST": front.url.removeprefix("http://"),
        "OLLAMA_NOHISTORY": "1",
        "TERM": "dumb",
    }
    run = subprocess.run(
        [os.environ["OLLAMA_BIN"], *arguments],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert run.returncode == status, (arguments, run.returncode, run.stdout, run.stderr)
    return run.stdout if status == 0 else run.stdout + run.stderr


def first_column(table):
    return [line.split()[0] for line in table.splitlines()[1:] if line.strip()]


def test_run_prints_an_answer(front):
    assert len(cli(front, "run", MODEL, "hi").strip()) > 20


def test_list_shows_the_models(front):
    assert {"tiny:latest", "tinycoder:latest"} <= set(first_column(cli(front, "list")))


@pytest.mark.gateway
def test_list_shows_auto_and_run_accepts_it(front):
    assert "auto:latest" in first_column(cli(front, "list"))
    assert len(cli(front, "run", "auto", "hi").strip()) > 20


def test_show_describes_the_model(front):
    shown = cli(front, "show", MODEL)
    assert "llama" in shown or front.name == "crossed", shown
    assert "completion" in shown, shown


def test_ps_shows_what_runs_and_stop_stops_it(main):
    cli(main, "run", MODEL, "hi")
    assert "tiny:latest" in first_column(cli(main, "ps"))
    cli(main, "stop", MODEL)
    wait_for(lambda: "tiny:latest" not in first_column(cli(main, "ps")), "tiny to be stopped")


def test_create_cp_and_rm_manage_models(main, tmp_path):
    model = pathlib.Path(os.environ["MODEL_FILES"]) / "random-2.gguf"
    (tmp_path / "Modelfile").write_text(
        f'FROM {model}\nTEMPLATE "{{{{ .Prompt }}}}"\nPARAMETER num_predict 6\nPARAMETER num_thread 1\n'
    )
    cli(main, "create", "by-hand", "-f", "Modelfile", folder=tmp_path)
    cli(main, "cp", "by-hand", "by-hand-too")
    assert {"by-hand:latest", "by-hand-too:latest"} <= set(first_column(cli(main, "list")))
    assert cli(main, "run", "by-hand-too", "hi").strip()
    cli(main, "rm", "by-hand", "by-hand-too")
    assert not {"by-hand:latest", "by-hand-too:latest"} & set(first_column(cli(main, "list")))


def test_an_unknown_model_is_said_to_be_unknown(main):
    said = cli(main, "show", "no-such-model", status=1)
    assert "not found" in said, said


def test_the_version_is_that_of_ollama(main):
    """Another one makes the command line warn on every start."""
    said = cli(main, "--version")
    assert "Warning" not in said, said
