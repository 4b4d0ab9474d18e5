"""A heavy unit computes in another process, which belongs to the worker."""

import json
from pathlib import Path

import pytest

from .small import IN_REGION, Small
from .test_stuck import REPOSITORY
from .workers import wait_for_work


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_heavy_unit_runs_in_a_process_of_the_pool(
    broker_address: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    unit = {"unit": "tests.kafka.units:Heavy"}
    small = Small(broker_address, unique, tmp_path, units=[unit])
    small.announce()
    small.feed(range(1, 11))
    worker = small.worker()
    try:
        wait_for_work(broker_address, unique)
        pid = worker.process.pid
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    rows = [json.loads(line) for line in small.export("out.ndjson").splitlines()]
    results = [one["body"] for row in rows for one in row["results"] if one["name"] == "Heavy"]
    assert len(results) == IN_REGION
    assert {one["parent"] for one in results} == {pid}
    assert pid not in {one["pid"] for one in results}
