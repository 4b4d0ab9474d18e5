"""Brokers are away for long: probes and metrics say so, and all goes on by itself."""

import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.ports import free_port

from .looking import answer, metrics
from .small import Small
from .workers import Running, ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WITHIN = 30.0
"""So soon a worker without brokers is not ready [s]."""
UNKNOWN = ("ampelstream_lag_records{", "ampelstream_commit_age_seconds{")
NORMAL = {"failed", "worker_died", "broker_away"}
"""What may be an error or a warning here: a batch in hand was not taken."""


def lines(worker: Running) -> list[dict[str, Any]]:
    """The whole log; each line is JSON."""
    return [json.loads(line) for line in worker.log.read_text().splitlines()]


def ready(url: str) -> bool:
    return answer(f"{url}/ready")[0] == 200


def look(url: str) -> None:
    """A worker is alive or not there, not ready, and knows no lag."""
    assert answer(f"{url}/live")[0] in {0, 200}
    status, body = answer(f"{url}/ready")
    assert status in {0, 503}
    if status:
        assert any("no broker answers since" in reason for reason in body["reasons"]), body
    try:
        found = metrics(url)
    except OSError:
        return  # it is just started again
    values = {name: value for name, value in found.items() if name.startswith(UNKNOWN)}
    assert all(math.isnan(value) for value in values.values()), values


@pytest.mark.parametrize("seconds", [45.0, pytest.param(300.0, marks=pytest.mark.full)])
def test_it_is_said_and_goes_on(
    own_broker: Broker, unique: str, tmp_path: Path, seconds: float
) -> None:
    small = Small(own_broker.address, unique, tmp_path, packets=2000)
    small.announce()
    small.feed(range(1, 41))
    port = free_port()
    supervisor = small.worker("--workers", "2", "--port", str(port), index=None)
    urls = [f"http://127.0.0.1:{port + index}" for index in range(2)]
    try:
        wait_until(lambda: all(map(ready, urls)), 60, "both are ready")
        wait_for_work(small.address, unique)
        small.feed(range(41, 1041))  # so that something is in hand
        own_broker.kill()
        gone = time.monotonic()
        wait_until(lambda: not any(map(ready, urls)), WITHIN, "neither is ready")
        time.sleep(max(0.0, gone + WITHIN - time.monotonic()))
        while time.monotonic() - gone < seconds:
            for url in urls:
                look(url)
            time.sleep(2.0)
        own_broker.start()
        wait_until(lambda: all(map(ready, urls)), 90, "both are ready again")
        wait_for_work(small.address, unique, 120)
        assert small.alerts() == Counter(range(1, 1041))
        wait_until(lambda: lag(urls) == 0.0, 30, "the lag is known again")
    finally:
        supervisor.stop()
    told = lines(supervisor)
    bad = {one["event"] for one in told if one["level"] not in {"info", "debug"}}
    assert bad <= NORMAL, [one for one in told if one["event"] in bad - NORMAL]
    deaths = [one["fields"]["exit_code"] for one in told if one["event"] == "worker_died"]
    assert set(deaths) <= {1}
    assert len(deaths) <= 2  # a worker that was started again waits
    assert {"broker_away", "broker_back"} <= {one["event"] for one in told}


def lag(urls: list[str]) -> float:
    found = [metrics(url) for url in urls]
    return sum(value for one in found for name, value in one.items() if name.startswith(UNKNOWN[0]))


def last_work(running: Running) -> dict[str, Any]:
    """Facts of the last line that said how it goes."""
    return next((one["fields"] for one in reversed(lines(running)) if one["event"] == "work"), {})


def times(running: Running, event: str) -> int:
    return sum(one["event"] == event for one in lines(running))


def test_one_process_waits_too(own_broker: Broker, unique: str, tmp_path: Path) -> None:
    small = Small(own_broker.address, unique, tmp_path)
    small.announce()
    small.feed(range(1, 21))
    own_broker.kill()
    options: list[str | Path] = [*small.broker, "--state", tmp_path / "one"]
    once = ampelstream("run", *options, "--once", check=False)
    assert once.returncode == 1
    assert "no broker answers at" in once.stderr
    assert "Traceback" not in once.stderr
    options += ["--log", "json", "--report", "1"]
    running = Running(options, tmp_path / "first.log", None)
    try:
        wait_until(lambda: bool(last_work(running)), 60, "it says how it goes")
        assert last_work(running)["waiting"] == {"records": None}
        assert times(running, "broker_away") == 1
        assert running.stop() == 0
        running = Running(options, tmp_path / "second.log", None)
        wait_until(lambda: times(running, "broker_away") == 1, 60, "it waits")
        own_broker.start()
        wait_until(lambda: last_work(running).get("alerts") == 20, 60, "it goes on")
        own_broker.kill()
        wait_until(lambda: times(running, "broker_away") == 2, 60, "it waits again")
        wait_until(lambda: last_work(running)["waiting"] == {"records": None}, 30, "it says so")
        own_broker.start()
        small.feed(range(21, 41))
        wait_until(lambda: last_work(running).get("alerts") == 40, 60, "it goes on again")
        assert running.stop() == 0
    finally:
        running.process.kill()
        running.process.wait()
    told = lines(running)
    assert times(running, "broker_back") == 2
    assert {one["level"] for one in told if one["event"] != "broker_away"} == {"info"}
    assert "KafkaError" not in json.dumps(told)
