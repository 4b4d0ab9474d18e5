"""Whose process a record names."""

import os
import subprocess
import sys
from pathlib import Path

from ampelstream.runtime.broker.broker import Broker
from ampelstream.runtime.broker.record import Record, marker, pid_of, read, write


def record(pid: int) -> Record:
    return Record(pid=pid, port=9092, version="4.3.0")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    write(tmp_path, record(5))
    assert read(tmp_path) == record(5)
    (tmp_path / "broker.json").write_text('{"pid": 5,')
    assert read(tmp_path) is None


def test_a_number_that_is_another_process_now(tmp_path: Path) -> None:
    assert pid_of(tmp_path, None) is None
    assert pid_of(tmp_path, record(os.getpid())) is None
    assert pid_of(tmp_path, record(0)) is None
    assert pid_of(tmp_path, record(2**22 + 1)) is None  # above any that Linux gives


def test_our_process_until_it_ends(tmp_path: Path) -> None:
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, marker(tmp_path), "last"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it runs
        assert pid_of(tmp_path, record(process.pid)) == process.pid
        assert pid_of(tmp_path / "sub", record(process.pid)) is None
        assert pid_of(tmp_path.parent, record(process.pid)) is None
        write(tmp_path, record(process.pid))
        broker = Broker(tmp_path)
        assert (broker.alive, broker.port) == (True, 9092)
        broker.kill()
        # nobody has waited for it: it is a zombie, and no broker
        assert not broker.alive


def test_nothing_to_end(tmp_path: Path) -> None:
    write(tmp_path, record(os.getpid()))
    broker = Broker(tmp_path)
    broker.pause()
    broker.stop()
    broker.kill()
    assert not broker.alive
