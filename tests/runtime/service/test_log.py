"""What a worker logs: one line for each incident, as text or as JSON."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.service.log import (
    CRASHED,
    Incident,
    JsonLines,
    TextLines,
    incident,
    set_up_log,
)

LOG = logging.getLogger("ampelstream.test_incidents")
VALUE = "hunter2-of-the-broker"


@contextmanager
def writing(form: logging.Formatter) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    yield stream
    LOG.removeHandler(handler)
    LOG.setLevel(logging.NOTSET)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with writing(JsonLines()) as stream:
        yield stream


@pytest.fixture
def text() -> Iterator[io.StringIO]:
    with writing(TextLines("worker-3")) as stream:
        yield stream


class Secretive:
    def __repr__(self) -> str:
        return "Secretive(***)"


def test_an_incident_is_one_line_of_json(lines: io.StringIO) -> None:
    incident(
        LOG, logging.WARNING, "parked", "a record\nwaits", offset=7, nan=float("nan"), x=Secretive()
    )
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
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
    assert json.loads(JsonLines().format(record))["time"] == "1970-01-01T00:00:01.500Z"


def test_where_it_happened_stands_in_front_in_both_forms(
    lines: io.StringIO, text: io.StringIO
) -> None:
    incident(LOG, logging.INFO, "restored", "whole again", step="objects", partition=3, seconds=2.5)
    incident(LOG, logging.WARNING, "slow", "it takes long", step="react")
    incident(LOG, logging.INFO, "died", "one has died", worker=1)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(one.get("step"), one.get("partition"), one.get("fields")) for one in told] == [
        ("objects", 3, {"seconds": 2.5}),
        ("react", None, None),
        (None, None, None),
    ]
    assert told[2]["worker"] == 1
    assert [line.split(" ", 1)[1] for line in text.getvalue().splitlines()] == [
        "INFO    worker-3 objects/3 restored: whole again (seconds=2.5)",
        "WARNING worker-3 react slow: it takes long",
        "INFO    worker-3 - died: one has died (worker=1)",
    ]


def test_the_index_of_the_worker_is_in_each_line_of_json() -> None:
    plain = logging.makeLogRecord({"msg": "x"})
    assert json.loads(JsonLines(2).format(plain))["worker"] == 2
    assert "worker" not in json.loads(JsonLines().format(plain))


def test_a_line_of_text_is_one_line_whatever_comes(text: io.StringIO) -> None:
    incident(
        LOG, logging.ERROR, "wrong", "topic a is missing\ntopic b, too", why=["a b", 1.23456789]
    )
    LOG.info("%s", "long " * 300)
    try:
        int("seven\n")
    except ValueError:
        LOG.exception("a sink failed")
        LOG.exception("%s", what := Incident(CRASHED, "a defect"), extra={"incident": what})
    got = text.getvalue().splitlines()
    wrong, long, failed, crashed, *trace = got
    assert wrong.endswith("wrong: topic a is missing; topic b, too (why=[a b, 1.23457])")
    assert len(long) > 1500
    assert re.search(r"- test_incidents: a sink failed: ValueError: .* \(test_\w+ at .*\)$", failed)
    assert "crashed: a defect: ValueError" in crashed
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in trace)


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


@contextmanager
def whole_process() -> Iterator[None]:
    """Put back what a process sets up once and for all."""
    root = logging.getLogger()
    before, level, err = root.handlers[:], root.level, sys.stderr
    hooks = sys.excepthook, threading.excepthook
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        sys.stderr, (sys.excepthook, threading.excepthook) = err, hooks


def test_all_logs_of_the_process_as_json() -> None:
    stream = io.StringIO()
    with whole_process():
        set_up_log("worker-0", worker=0, as_json=True, stream=stream)
        logging.getLogger("aiokafka").warning("connection lost")
        logging.getLogger("aiokafka").debug("not said")
        logging.getLogger("aiokafka").warning(
            "of %d", "one"
        )  # by itself logging prints a traceback
    lost, broken = map(json.loads, stream.getvalue().splitlines())
    assert (lost["message"], lost["worker"]) == ("connection lost", 0)
    assert broken["message"] == "a line could not be written: TypeError"


@pytest.mark.parametrize("form", ["json", "text"])
def test_whatever_a_process_prints_is_a_line_of_the_log(form: str) -> None:
    code = f"""
        import logging, sys, threading, warnings
        import typer
        from ampelstream.runtime.service.log import set_up_log
        set_up_log("worker-0", worker=0, as_json={form == "json"}, takes_stderr=True)
        print("half a", end=" ", file=sys.stderr)
        print("line", file=sys.stderr)
        sys.stderr.write("one\\ntwo\\n\\n")
        typer.echo("an echo", err=True)
        warnings.warn("old ways")
        thread = threading.Thread(target=lambda: int("a"), name="side")
        thread.start(); thread.join()
        print("data")
        int("b")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "data\n")
    got = done.stderr.splitlines()
    if form == "json":
        told = [json.loads(line) for line in got]
        assert [one["message"] for one in told[:4]] == ["half a line", "one", "two", "an echo"]
        assert "UserWarning: old ways" in told[4]["message"]
        assert [(one["event"], one["level"]) for one in told[5:]] == [("crashed", "critical")] * 2
        assert [one["traceback"].splitlines()[-1][-3:] for one in told[5:]] == ["'a'", "'b'"]
    else:
        head = [line for line in got if not line.startswith("    ")]
        assert len(head) == 7
        assert all(re.match(r"20[\d:.T-]+Z (WARNING|CRITICAL) +worker-0 - ", line) for line in head)


def test_a_thread_that_was_cancelled_is_no_defect() -> None:
    """aiokafka's consumers end so where they are closed while their brokers are away."""

    def closed() -> None:
        raise asyncio.CancelledError

    stream = io.StringIO()
    with whole_process():
        set_up_log("worker-0", worker=0, as_json=True, stream=stream, takes_stderr=True)
        thread = threading.Thread(target=closed, name="consumer")
        thread.start()
        thread.join()
    [told] = map(json.loads, stream.getvalue().splitlines())
    assert told["level"] == "info"
    assert "consumer was closed" in told["message"]


def test_nobody_who_reads_ends_nothing() -> None:
    code = """
        import logging
        from ampelstream.runtime.service.log import set_up_log
        set_up_log("worker-0", takes_stderr=True)
        input()
        logging.getLogger("a").warning("nobody reads this")
        print("goes on")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.read() == b"goes on\n"


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
