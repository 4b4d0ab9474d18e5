"""A worker that is told to stop while it starts ends as soon as it can."""

import time
from pathlib import Path

import pytest

from .looking import where
from .small import Small

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.mark.parametrize("later", [0.0, 0.02, 0.1, 0.3, 1.0])
def test_it_ends(broker_address: str, unique: str, tmp_path: Path, later: float) -> None:
    small = Small(broker_address, unique, tmp_path)
    small.feed(range(1, 21))
    worker = small.worker()
    where(worker)
    time.sleep(later)
    began = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - began < 15.0, "it took longer than anything in hand"
