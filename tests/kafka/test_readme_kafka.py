"""The README's commands on Kafka are executed."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.simulate import Night
from ampelstream.testing.broker.ports import free_port

from .workers import QUICK, wait_for_work

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
[BLOCK] = [
    block
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    if "dev kafka start" in block
]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_runs(
    local_kafka: str, make_night: Callable[..., Night], tmp_path: Path
) -> None:
    night = make_night()
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "alerts.tar.gz").symlink_to(night.alerts)
    (tmp_path / "notices").symlink_to(night.notices)
    address = f"127.0.0.1:{free_port()}"
    broker = ["--data", str(tmp_path / "kafka"), "--version", local_kafka]
    worker: subprocess.Popen[bytes] | None = None
    lines = [line.removeprefix("$ ") for line in BLOCK.splitlines()]
    for line in lines:
        words = shlex.split(line.replace("localhost:9092", address))
        command = [sys.executable, "-m", *words]
        if words[1:4] == ["dev", "kafka", "start"]:
            command += [*broker, "--port", address.rpartition(":")[2]]
        elif words[1:3] == ["dev", "kafka"]:
            command += broker[:2]
        if words[1] == "run":
            with (tmp_path / "log").open("wb") as log:
                worker = subprocess.Popen([*command, *QUICK], cwd=tmp_path, stdout=log, stderr=log)
            wait_for_work(address, "kilonova")
            continue  # in another terminal, while it runs
        environment = {**os.environ, "AMPELSTREAM_CATALOGS": str(tmp_path / "catalogs")}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if words[1] == "status":
            assert worker is not None
            worker.terminate()
            assert worker.wait(40) == 0
    assert worker is not None
    assert len(lines) == 7
    assert (tmp_path / "candidates.ndjson").read_text().count("\n") >= 1
