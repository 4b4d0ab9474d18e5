"""`ampelstream status` of workers on a broker, and of one process that follows topics."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection

from .looking import produce
from .small import Small
from .workers import ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

REPOSITORY = Path(__file__).resolve().parents[2]
POISON = b"\x00neither JSON nor Avro"


def status(*words: str | Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, the row, and what was said on standard error."""
    done = ampelstream("status", *words, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def steps(row: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Workers, and what waits, of each step."""
    return {one["step"]: (one["members"], one["lag"]) for one in row["steps"]}


async def _groups(address: str, topology: str) -> set[str]:
    async with open_admin(Connection(bootstrap=(address,))) as admin:
        found = {name for name, *_ in await admin.list_consumer_groups()}
    return {name for name in found if topology in name}  # others share the broker


def test_workers_seen_from_outside(broker_address: str, unique: str, tmp_path: Path) -> None:
    small = Small(broker_address, unique, tmp_path)
    code, row, errors = status(*small.broker)
    assert (code, errors) == (0, "")
    assert set(steps(row).values()) == {(0, 0)}
    assert {one["state"] for one in row["steps"]} == {"absent"}
    small.announce()
    small.feed(range(1, 61))
    produce(small.connection, small.names.alerts, [POISON])
    code, row, errors = status(*small.broker)
    assert code == 1
    assert f"{unique}: ingest alerts: 61 records wait, and no worker reads them" in errors
    assert f"{unique}: ingest notices: 1 record waits" in errors
    before = asyncio.run(_groups(broker_address, unique))
    worker = small.worker()
    try:
        wait_for_work(broker_address, unique)
        code, row, errors = status(unique, "--broker", broker_address)
        assert (code, errors) == (0, "")
        assert steps(row) == {
            "ingest alerts": (1, 0),
            "ingest notices": (1, 0),
            "ingest parked": (0, 0),
            "objects": (1, 0),
            "react": (1, 0),
        }
        assert row["topics"]["alerts"]["records"] == 61
        assert row["topics"]["dead_letters"]["records"] == 1
        assert row["topics"]["candidates"]["records"] > 0
        assert row["topics"]["candidates"]["last"] is not None
        assert row["event_time"] is not None
        # whoever looks joins no group and makes none
        made = {one["group"] for one in row["steps"] if one["state"] != "absent"}
        assert asyncio.run(_groups(broker_address, unique)) - before == made
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    code, row, errors = status(*small.broker)
    assert (code, set(steps(row).values())) == (1, {(0, 0)})
    alone = "ingest alerts, ingest notices, objects, react"
    assert errors == f"{unique}: no worker runs {alone}\n"
    small.feed([61])
    code, row, errors = status(*small.broker)
    assert (code, steps(row)["ingest alerts"]) == (1, (0, 1))
    done = ampelstream("status", "--broker", broker_address, check=False)
    assert unique in {json.loads(line)["topology"] for line in done.stdout.splitlines()}

    embedded = tmp_path / "embedded"
    ampelstream("run", *small.broker, "--state", embedded, "--once", check=False)
    code, row, errors = status("--state", embedded)
    assert (code, errors) == (0, "")
    assert (row["alerts"], row["dead_letters"], row["waiting"]) == (62, 1, {"records": 0})
    assert len((embedded / unique / "dead-letters.ndjson").read_text().splitlines()) == 1


def test_a_worker_that_hangs_is_seen_from_outside(
    broker_address: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # where the worker finds our unit
    marker = tmp_path / "marker"
    unit = {"unit": "tests.kafka.units:Sleeper", "config": {"marker": str(marker)}}
    small = Small(broker_address, unique, tmp_path, units=[unit], partitions=1)
    small.announce()
    small.feed(range(1, 11))
    worker = small.worker()
    try:
        wait_for_work(broker_address, unique)
        asked: list[str | Path] = [*small.broker, "--max-age", "5"]
        time.sleep(6.0)
        assert status(*asked)[::2] == (0, "")  # nothing waits, and nothing is to be committed
        marker.touch()
        small.feed(range(11, 21))
        wait_until(lambda: status(*asked)[0] == 1, 40, "it shows")
        code, row, errors = status(*asked)
        assert code == 1
        assert f"{unique}: objects: " in errors
        assert "records wait for longer than 5 s, and its 1 worker committed last " in errors
        assert steps(row)["objects"][0] == 1
        assert errors.count("\n") == 1  # the other steps do their work
    finally:
        worker.process.kill()
        worker.process.wait()


def test_what_is_not_there_is_said(broker_address: str, unique: str) -> None:
    done = ampelstream("status", unique, "--broker", broker_address, check=False)
    assert done.returncode == 1
    assert f"has no topics of topology {unique}" in done.stderr
    done = ampelstream("status", "--broker", "127.0.0.1:1", check=False)
    assert done.returncode == 1
    assert "no broker answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
