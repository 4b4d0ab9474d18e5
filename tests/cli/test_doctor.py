"""`ampelstream doctor`: what runs here."""

import json
import os
import subprocess
import sys

import pytest

from ampelstream.codecs.avro import backend


def doctor(**environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ampelstream", "doctor"]
    there = {**os.environ, **environment}
    return subprocess.run(command, env=there, capture_output=True, text=True, check=False)


def test_it_says_which_interpreter_runs_and_why() -> None:
    found = doctor(AMPELSTREAM_INTERPRETER="plain")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["interpreter of packets"].startswith("plain Python")
    assert "AMPELSTREAM_INTERPRETER=plain asks for it" in told["interpreter of packets"]
    assert told["faust-streaming"] == "0.15.3"


def test_it_runs_compiled_where_it_was_built() -> None:
    there, why = backend.compiled()
    if there is None:
        pytest.skip(f"there is no compiled interpreter: {why}")
    told = json.loads(doctor(AMPELSTREAM_INTERPRETER="compiled").stdout)
    assert told["interpreter of packets"] == "compiled"


def test_a_wrong_word_is_refused() -> None:
    found = doctor(AMPELSTREAM_INTERPRETER="quick")
    assert found.returncode != 0
    assert "it may be 'plain' or 'compiled'" in found.stderr
    assert "Traceback" not in found.stderr
