"""A worker with an id that is back within the session has its partitions at once."""

import time
from collections import Counter
from pathlib import Path

import pytest

from ampelstream.testing.broker.ports import free_port

from .small import Small
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SESSION = 45
STOCK = """\
import ampelstream.runtime.safefaust.assignor as ours
from faust.assignor.partition_assignor import PartitionAssignor
ours.SafeAssignor = PartitionAssignor
"""


def come_back(small: Small) -> tuple[Running, float]:
    """A worker that was killed after some work, and is there again under another port."""
    options = ("--instance-id", "pod", "--session", str(SESSION), "--steps", "ingest,objects,react")
    small.feed(range(1, 21))
    first = small.worker(*options, "--port", str(free_port()))
    try:
        wait_for_work(small.address, small.names.topology)
    finally:
        first.process.kill()
        first.process.wait()
    killed = time.monotonic()
    small.feed(range(21, 41))
    return small.worker(*options, "--port", str(free_port()), log="back"), killed


def test_ours_works_on(broker_address: str, unique: str, tmp_path: Path) -> None:
    small = Small(broker_address, unique, tmp_path)
    worker, killed = come_back(small)
    try:
        # as a new member it would have to wait until the old one's session is over
        left = SESSION - 10 - (time.monotonic() - killed)
        wait_until(lambda: len(small.alerts()) == 40, left, "the rest is done")
        assert worker.stop() == 0
    finally:
        worker.process.kill()
        worker.process.wait()
    assert small.alerts() == Counter(range(1, 41))


@pytest.mark.full
def test_the_stock_assignor_fails(
    broker_address: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(STOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    small = Small(broker_address, unique, tmp_path)
    worker, _ = come_back(small)
    try:
        assert worker.process.wait(60) != 0
        said = worker.log.read_text()
        assert "AssertionError" in said
        assert "its consumer has left its group for good" in said
    finally:
        worker.process.kill()
        worker.process.wait()
