"""What a worker logs: incidents as JSON, and what libraries repeat only once in a while."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import stamina
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.service.log import (
    JsonLines,
    RepeatFilter,
    incident,
    log_as_json,
    log_retries,
)

LOG = logging.getLogger("ampelstream.test_incidents")
VALUE = "hunter2-of-the-broker"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    yield stream
    LOG.removeHandler(handler)
    LOG.setLevel(logging.NOTSET)


class Secretive:
    def __repr__(self) -> str:
        return "Secretive(***)"


def test_an_incident_is_one_line_of_json(lines: io.StringIO) -> None:
    incident(
        LOG, logging.WARNING, "parked", "a record\nwaits", offset=7, nan=float("nan"), x=Secretive()
    )
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": LOG.name,
        "event": "parked",
        "message": r"a record\x0awaits",
        "fields": {"offset": 7, "nan": None, "x": "Secretive(***)"},
    }


def test_text_from_outside_is_shown_and_not_obeyed(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOG, "propagate", False)  # pytest cannot report what no encoding can hold
    hostile = "a\x9b2J\u202e\ud800" + "x" * 1_000_000
    try:
        int(hostile)
    except ValueError:
        LOG.exception("record %s", hostile)
    incident(LOG, logging.ERROR, "lost", hostile, ids=[hostile, {hostile: 1}])
    for line in lines.getvalue().splitlines():
        assert line.isprintable()
        assert len(line) < 10_000
        told = json.loads(line)
        assert r"a\x9b2J\u202e\ud800x" in told["message"]
        assert told["message"].endswith("characters)")
    assert told["fields"]["ids"][0].startswith(r"a\x9b2J\u202e\ud800x")
    assert next(iter(told["fields"]["ids"][1])).startswith(r"a\x9b2J\u202e\ud800x")


def test_the_time_is_that_of_the_record() -> None:
    record = logging.makeLogRecord({"msg": "x", "created": 1.5})
    assert json.loads(JsonLines().format(record))["time"] == "1970-01-01T00:00:01.500+00:00"


def test_other_records_fit_in(lines: io.StringIO) -> None:
    try:
        int("seven")
    except ValueError:
        LOG.exception("sink %s failed", "console")
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["message"]) == ("log", "sink console failed")
    assert told["traceback"].endswith("invalid literal for int() with base 10: 'seven'")


def test_people_read_a_sentence_with_the_facts(caplog: pytest.LogCaptureFixture) -> None:
    incident(LOG, logging.ERROR, "died", "worker 2 died", exit_code=70)
    incident(LOG, logging.ERROR, "died", "a percent sign: 5 %s")
    assert caplog.messages == ["worker 2 died (exit_code=70)", "a percent sign: 5 %s"]
    assert caplog.records[0].funcName == "test_people_read_a_sentence_with_the_facts"


def test_all_logs_of_the_process_as_json() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []  # those of pytest must not be closed
    stream = io.StringIO()
    try:
        log_as_json(stream)
        logging.getLogger("aiokafka").warning("connection lost")
        logging.getLogger("aiokafka").debug("not said")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "connection lost"


def test_a_secret_does_not_leak_through_a_connection(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", VALUE)
    connection = Connection.model_validate(
        {
            "bootstrap": "broker:9092",
            "security": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512",
            "username": "ampel",
            "password": {"env": "BROKER_PASSWORD"},
        }
    )
    assert connection.client_options()["sasl_plain_password"] == VALUE  # it is there
    incident(LOG, logging.ERROR, "lost", f"{connection!r} {connection}", connection=connection)
    assert "BROKER_PASSWORD" in lines.getvalue()
    assert VALUE not in lines.getvalue()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(name: str, text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file", 1, text, (1,), None)


def test_a_librarys_message_passes_once_in_a_while_with_its_count() -> None:
    clock = Clock()
    only = RepeatFilter(30.0, clock=clock)
    assert only.filter(record("aiokafka.conn", "cannot connect to %d"))
    assert not any(only.filter(record("aiokafka.conn", "cannot connect to %d")) for _ in range(5))
    assert only.filter(record("aiokafka.conn", "another of %d"))
    clock.now = 31.0
    again = record("aiokafka.conn", "cannot connect to %d")
    assert only.filter(again)
    assert again.getMessage() == "cannot connect to 1 (and 5 times more)"


def test_our_own_messages_always_pass() -> None:
    only = RepeatFilter(clock=Clock())
    ours = [record("ampelstream.runtime.faust.worker", "objects ended: %d") for _ in range(3)]
    assert all(only.filter(one) for one in ours)


def test_fausts_services_under_our_names_are_held_to_warnings() -> None:
    only = RepeatFilter(clock=Clock())
    name = "ampelstream.runtime.faust.recovery"
    assert not only.filter(record(name, "[^--SafeRecovery]: Resuming flow... %d", logging.INFO))
    assert only.filter(record(name, "[^--SafeRecovery]: Crashed reason=%d"))


@pytest.fixture
def set_up_retries() -> Iterator[None]:
    log_retries()
    yield
    set_on_retry_hooks(None)


@pytest.mark.usefixtures("set_up_retries")
def test_a_retry_that_succeeds_is_said_at_debug_only_and_counted_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tries = []
    for attempt in stamina.retry_context(on=ValueError, wait_initial=0.001, wait_jitter=0):
        with attempt:
            tries.append(attempt.num)
            if len(tries) < 3:
                raise ValueError("busy")
    assert tries == [1, 2, 3]
    assert [one.levelno for one in caplog.records] == [logging.DEBUG] * 2
    assert caplog.records[0].getMessage() == "tried again in 0.0 s: ValueError: busy"
    assert len(get_on_retry_hooks()) == 1  # ours, and not the one that counts in Prometheus
