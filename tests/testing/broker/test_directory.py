"""Whose process the note in a directory names, and the text that a broker is started with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.directory import (
    Record,
    as_text,
    check_users,
    marker,
    pid_of,
    read_record,
    server_settings,
    write_record,
)


def record(pid: int) -> Record:
    return Record(pid=pid, port=9092, version="4.3.0")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_record(tmp_path, record(5))
    assert read_record(tmp_path) == record(5)
    (tmp_path / "broker.json").write_text('{"pid": 5,')
    assert read_record(tmp_path) is None


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
        write_record(tmp_path, record(process.pid))
        broker = Broker(tmp_path)
        assert (broker.alive, broker.port) == (True, 9092)
        broker.kill()
        # nobody has waited for it: it is a zombie, and no broker
        assert not broker.alive


def test_nothing_to_end(tmp_path: Path) -> None:
    write_record(tmp_path, record(os.getpid()))
    broker = Broker(tmp_path)
    broker.pause()
    broker.stop()
    broker.kill()
    assert not broker.alive


def test_one_node_on_loopback_only() -> None:
    told = server_settings(Path("data"), 9092, 9093, {}, {})
    assert told["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert told["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert told["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert told["auto.create.topics.enable"] == "false"
    assert "message.max.bytes" not in told  # topics must ask for more, as on other clusters
    assert not any("0.0.0.0" in value for value in told.values())  # noqa: S104  (it is refused)


def test_a_listener_with_login() -> None:
    told = server_settings(Path("data"), 9092, 9093, {"LOGIN": ("SASL_PLAINTEXT", 9094)}, {})
    assert "LOGIN://127.0.0.1:9094" in told["listeners"].split(",")
    assert "LOGIN://127.0.0.1:9094" in told["advertised.listeners"].split(",")
    assert "LOGIN:SASL_PLAINTEXT" in told["listener.security.protocol.map"].split(",")
    assert "ScramLoginModule" in told["listener.name.login.scram-sha-512.sasl.jaas.config"]


def test_what_the_caller_sets_wins() -> None:
    own = {"num.io.threads": "8", "log.segment.bytes": "1048576"}
    told = server_settings(Path("data"), 9092, 9093, {}, own)
    assert own.items() <= told.items()


def test_text_of_the_file() -> None:
    assert as_text({"a.b": "1", "c": "x\\y\nz"}) == "a.b=1\nc=x\\\\y\\nz\n"
    with pytest.raises(BrokerError, match="no name of a setting"):
        as_text({"a=b": "1"})


@pytest.mark.parametrize(("name", "password"), [("a", "x,y"), ("a,b", "x"), ("a", ""), ("", "x")])
def test_users_that_the_tool_would_misread(name: str, password: str) -> None:
    with pytest.raises(BrokerError, match="SCRAM user") as caught:
        check_users({name: password})
    assert "x,y" not in str(caught.value)
    check_users({"some.one@example": "p=a's;s"})
