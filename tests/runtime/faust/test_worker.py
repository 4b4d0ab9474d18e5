"""How a worker stops, and what it then says of what it had in hand."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.errors import StateError
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.faust import worker as worker_module
from ampelstream.runtime.faust.worker import Worker
from ampelstream.runtime.kafka.topologylog import BackfillPlan
from ampelstream.runtime.safefaust.failures import LostRecords
from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.journal import Journals


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
    worker._journals = SimpleNamespace(ending=lambda _reasons: None)
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


BAD, OTHER = Coordinates("detections", 0, 7), Coordinates("alerts", 1, 3)


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    """One that has something in hand in two steps."""
    made: Any = object.__new__(Worker)
    made._journals = Journals(tmp_path)
    made._journals.open("objects").begin(BAD)
    made._journals.open("ingest-alerts").begin(OTHER)
    made._exit = lambda _code: None
    return made


def suspects(directory: Path) -> dict[str, dict[Any, Any]]:
    """Of the next process."""
    journals = Journals(directory)
    return {step: journals.open(step)._deaths for step in ("objects", "ingest-alerts")}


@pytest.mark.parametrize(
    ("error", "code", "blamed"),
    [
        (LostRecords("too late"), ExitCode.FAILED, {}),
        (StateError("the disk is full"), ExitCode.FAILED, {}),
        (KeyError("a defect"), ExitCode.CRASHED, {BAD: (1, "KeyError('a defect')")}),
    ],
)
def test_only_a_failure_that_nobody_foresaw_may_be_the_doing_of_a_record(
    worker: Any, tmp_path: Path, error: Exception, code: int, blamed: dict[Any, Any]
) -> None:
    async def run() -> int:
        async def fails() -> None:
            raise error

        worker._tasks = {}
        worker._begin("objects", fails())
        await asyncio.wait(worker._tasks)
        return int(worker._failed())

    assert asyncio.run(run()) == code
    assert suspects(tmp_path) == {"objects": blamed, "ingest-alerts": {}}


def test_what_hangs_is_blamed_and_nothing_else(worker: Any, tmp_path: Path) -> None:
    now = 0.0
    worker._health = Health(lambda: now, stuck_after=60)
    with worker._health.busy("objects/0"):
        now = 61.0
        worker._health.beat()
        worker._hung(ExitCode.HUNG)
    how = "objects/0: a handler has been busy for 61 s (limit 60 s)"
    assert suspects(tmp_path) == {"objects": {BAD: (1, how)}, "ingest-alerts": {}}


def test_a_stop_that_takes_too_long_is_nobodys_fault(worker: Any, tmp_path: Path) -> None:
    worker._settings, worker._apps = SimpleNamespace(grace=0.05), [Step(5.0)]
    other: Any = Step(0.0)
    assert asyncio.run(worker._end(other, other)) == ExitCode.FAILED
    assert suspects(tmp_path) == {"objects": {}, "ingest-alerts": {}}


def test_the_lag_of_a_backfill_is_watched_as_long_as_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker that is away is no hang of its rebalance then; a consumer that is dead is one."""
    connection: Any = SimpleNamespace(client_options=dict)
    step = "ingest-alerts-backfill"
    said: list[str] = []

    class App:
        def __init__(self, name: str, *_: Any) -> None:
            self.name, self.group, self.connection = name, "g", connection

        def assigned(self) -> set[Any]:
            return set()

        async def run(self) -> None:
            await asyncio.Event().wait()

        async def stop(self) -> None:
            said.append("app stopped")

    class Lag:
        def __init__(self, name: str, *_: Any, ours: bool) -> None:
            said.append(f"lag of {name} {ours}")

        async def run(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                said.append("lag stopped")

    async def rereads(*_: Any) -> list[Any]:
        source = SimpleNamespace(name=step, connection=connection)
        return [SimpleNamespace(source=source, until={})]

    async def all_read(*_: Any) -> None:
        await asyncio.sleep(0.01)

    async def closed(*_: Any) -> None:
        said.append("noted")

    for name, what in {
        "rereads": rereads,
        "all_read": all_read,
        "RunningApp": App,
        "LagWatch": Lag,
        "ingest_app": lambda *_: None,
        "Pace": lambda *_: SimpleNamespace(wait=None, close=closed),
    }.items():
        monkeypatch.setattr(worker_module, name, what)

    async def main() -> None:
        worker: Any = object.__new__(Worker)
        worker._apps, worker._tasks, worker._ended = [], {}, asyncio.Event()
        worker._context = SimpleNamespace(connection=connection)
        worker._names = worker._watching = SimpleNamespace(forget=said.append)
        worker._admission = SimpleNamespace(note_backfilled=closed, goes_on=bool)
        await worker._backfill(None, [], BackfillPlan("b", "filters"))
        await asyncio.sleep(0.01)
        assert worker._apps == []
        assert not worker._ended.is_set()
        for task in worker._tasks:
            task.cancel()

    asyncio.run(main())
    assert said[0] == f"lag of {step} True"
    assert sorted(said[1:]) == sorted(["noted", "app stopped", step, "noted", "lag stopped"])
