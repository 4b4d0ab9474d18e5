import io
import json
import logging
from collections.abc import Iterator

import pytest

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.service.incidents import JsonLines, incident, log_as_json

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
