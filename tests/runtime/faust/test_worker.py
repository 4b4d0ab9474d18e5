"""How a worker stops."""

import asyncio
from types import SimpleNamespace
from typing import Any

from ampelstream.runtime.faust.worker import Worker
from ampelstream.runtime.service.exitcodes import ExitCode


class Step:
    """A part of a worker."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.stopped = False

    async def stop(self) -> None:
        await asyncio.sleep(self._seconds)
        self.stopped = True


def end(*steps: Step) -> int:
    worker: Any = object.__new__(Worker)
    worker._settings = SimpleNamespace(grace=0.2)
    worker._apps = steps
    worker._pool = SimpleNamespace(close=lambda: None)
    worker._minutes = SimpleNamespace(say=lambda: None)
    other: Any = Step(0.0)
    return int(asyncio.run(worker._end(other, other)))


def test_an_input_whose_cluster_is_away_takes_no_time_of_the_other_steps() -> None:
    """Its commit waits for a coordinator that does not come."""
    away, objects = Step(30.0), Step(0.05)
    assert end(away, objects) == ExitCode.FAILED
    assert objects.stopped


def test_all_that_stop_in_time_stop_in_order() -> None:
    steps = Step(0.05), Step(0.05)
    assert end(*steps) == ExitCode.DONE
    assert all(step.stopped for step in steps)
