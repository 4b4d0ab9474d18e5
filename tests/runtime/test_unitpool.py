"""Units in production: timed, and heavy ones in processes that may hang or die."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ampelstream.codecs import notices
from ampelstream.core.accounting import Accounting
from ampelstream.core.boundary import Failure, attempt_unit
from ampelstream.errors import ConfigError, PoolError, UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.unitpool import UnitPool, in_production, with_pool
from ampelstream.simulate import simulate_notice
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.skymap import SkyMap
from ampelstream.topology import Topology, build, load
from ampelstream.topology.graph import BoundUnit
from ampelstream.units import Dependency, Inputs, Resources

# In a file of its own, which the processes of the pool can import too.
UNIT = '''
import os
import time
from typing import Any, ClassVar

from ampelstream.errors import UnitError
from ampelstream.units import ObjectUnit


class Heavy(ObjectUnit):
    """Does what its configuration says."""

    provides: ClassVar[str] = "heavy"
    heavy: ClassVar[bool] = True
    what: str

    def compute(self, inputs: Any) -> Any:
        if self.what == "hang":
            time.sleep(60)
        if self.what == "die":
            os._exit(9)
        if self.what == "refuse":
            raise UnitError("no result for this input")
        if self.what == "time out":
            raise TimeoutError("a service of its own")
        if self.what == "sleep":
            time.sleep(1.0)
        if self.what == "look":
            level = inputs.skymap.credible_level(41.0, 1.0)
            points = [point.id for point in inputs.lightcurve.datapoints]
            redshift = inputs.first("redshift")
            return {"level": level, "points": points, "event": str(inputs.event), **redshift}
        return {"process": os.getpid(), "inputs": inputs}
'''
INPUTS = cast("Inputs", "inputs")


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "heavy_unit_of_a_test.py").write_text(UNIT)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "heavy_unit_of_a_test", raising=False)
    return importlib.import_module("heavy_unit_of_a_test").Heavy


@pytest.fixture
def pool() -> Iterator[UnitPool]:
    made = UnitPool(1, timeout_seconds=20.0)
    yield made
    made.close()


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    path = tmp_path / "topology.yml"
    path.write_text(
        "name: one\nversion: 1\nchannels: {all: {units: [{unit: SkyMapProbability}]}}\n"
    )
    return build(load(path), Resources(catalogs=CatalogStore(tmp_path)))


def with_unit(topology: Topology, unit: Any) -> Topology:
    channel = replace(topology.channels[0], units=(BoundUnit("one", unit, "hash"),))
    return replace(topology, channels=(channel,))


def test_heavy_unit_runs_in_another_process(heavy: Any, pool: UnitPool) -> None:
    result = cast("dict[str, Any]", pool.compute(heavy(what="work"), INPUTS))
    assert result["inputs"] == "inputs"
    assert result["process"] != os.getpid()


def test_all_that_a_unit_is_given_can_be_sent(heavy: Any, pool: UnitPool) -> None:
    """A sky map above all, which a unit that depends on the event is given."""
    raw = simulate_notice(
        event_id="SIM230225a",
        alert_type="PRELIMINARY",
        time_created="2023-02-25T00:05:00Z",
        t0_jd=2460000.0,
        ra=40.0,
        dec=0.0,
        width_deg=5.0,
        order=5,
    )
    notice = notices.decode(raw)
    assert notice.skymap
    inputs = Inputs(
        lightcurve=LightCurve("ZTF1", [Datapoint(1, 2460001.0, 1, mag=19.0)]),
        event=notice.revision,
        skymap=SkyMap.from_fits(notice.skymap),
        dependencies=(Dependency("redshift", "one", {"z": 0.1}),),
    )
    unit = heavy(what="look")
    here, there = unit.compute(inputs), pool.compute(unit, inputs)
    assert here == there


def test_failures_of_the_unit_come_through(heavy: Any, pool: UnitPool) -> None:
    with pytest.raises(UnitError, match="no result for this input"):
        pool.compute(heavy(what="refuse"), INPUTS)


@pytest.mark.parametrize(("what", "text"), [("hang", "took longer"), ("die", "died")])
def test_process_that_hangs_or_dies_is_replaced(heavy: Any, what: str, text: str) -> None:
    pool = UnitPool(1, timeout_seconds=3.0 if what == "hang" else 20.0)
    try:
        first = cast("dict[str, Any]", pool.compute(heavy(what="work"), INPUTS))
        with pytest.raises(UnitError, match=text):
            pool.compute(heavy(what=what), INPUTS)
        second = cast("dict[str, Any]", pool.compute(heavy(what="work"), INPUTS))
    finally:
        pool.close()
    assert first["process"] != second["process"]
    with pytest.raises(ProcessLookupError):
        os.kill(first["process"], 0)


def test_an_idle_process_that_dies_is_replaced(heavy: Any, pool: UnitPool) -> None:
    """Nothing was in it (the system was short of memory): nothing fails."""
    first = cast("Any", pool.compute(heavy(what="work"), INPUTS))["process"]
    [seat] = pool._seats
    manager = cast("Any", seat._process)._executor_manager_thread
    os.kill(first, signal.SIGKILL)
    manager.join(20)  # it has noticed
    results = [cast("Any", pool.compute(heavy(what="work"), INPUTS)) for _ in range(2)]
    assert results[0]["process"] == results[1]["process"] != first


def test_what_the_system_refuses_is_said_and_tried_again(
    heavy: Any, pool: UnitPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process more, or no file: the seat is not left half made."""

    def refuse(*_: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr("multiprocessing.context.SpawnProcess._Popen", refuse)
        with pytest.raises(PoolError, match="no process could be started"):
            pool.compute(heavy(what="work"), INPUTS)
    assert pool.compute(heavy(what="work"), INPUTS)


def test_what_is_lost_is_told_from_what_a_unit_says(heavy: Any, pool: UnitPool) -> None:
    """The first says nothing of the input, so that it is computed again (`core/matching.py`)."""
    with pytest.raises(PoolError, match="died"):
        pool.compute(heavy(what="die"), INPUTS)
    with pytest.raises(UnitError) as refused:
        pool.compute(heavy(what="refuse"), INPUTS)
    assert type(refused.value) is not PoolError


def test_an_error_of_the_unit_about_time_is_not_ours(heavy: Any, pool: UnitPool) -> None:
    first = cast("dict[str, Any]", pool.compute(heavy(what="work"), INPUTS))
    with pytest.raises(TimeoutError, match="a service of its own"):
        pool.compute(heavy(what="time out"), INPUTS)
    assert pool.compute(heavy(what="work"), INPUTS) == first


def test_heavy_units_compute_at_the_same_time(heavy: Any) -> None:
    """Four processes are at least three times as quick as one, where the unit sleeps."""
    took: dict[int, float] = {}
    for processes in (1, 4):
        pool = UnitPool(processes)
        try:
            for seat in pool._seats:
                seat.prepare()
            began = time.monotonic()
            for one in [pool.start(heavy(what="sleep"), INPUTS) for _ in range(4)]:
                one.result()
            took[processes] = time.monotonic() - began
        finally:
            pool.close()
    assert took[1] > 3 * took[4], took


def test_a_process_that_dies_costs_nothing_but_what_was_in_it(heavy: Any) -> None:
    pool = UnitPool(2)
    try:
        neighbour = pool.start(heavy(what="sleep"), INPUTS)
        died = pool.start(heavy(what="die"), INPUTS)
        behind = pool.start(heavy(what="work"), INPUTS)
        with pytest.raises(UnitError, match="died"):
            died.result()
        results = [cast("Any", one.result()) for one in (neighbour, behind)]
    finally:
        pool.close()
    assert [one["inputs"] for one in results] == ["inputs"] * 2


def test_the_wait_for_a_process_is_no_computing(heavy: Any) -> None:
    pool = UnitPool(1, timeout_seconds=1.8)
    seconds: list[float] = []
    try:
        started = [pool.start(heavy(what="sleep"), INPUTS, seconds.append) for _ in range(3)]
        assert all(one.result() for one in started)  # the last one after 3 s
    finally:
        pool.close()
    assert all(1.0 <= one < 1.8 for one in seconds), seconds


def test_whoever_waits_for_a_computation_is_not_stuck(heavy: Any) -> None:
    moves: list[float] = []
    pool = UnitPool(1, timeout_seconds=2.5, moved=lambda: moves.append(time.monotonic()))
    try:
        pool.compute(heavy(what="work"), INPUTS)
        moves.clear()
        with pytest.raises(UnitError, match="took longer"):
            pool.compute(heavy(what="hang"), INPUTS)
    finally:
        pool.close()
    assert len(moves) == 3


def test_an_interrupt_from_the_keyboard_is_not_for_the_pool(heavy: Any, pool: UnitPool) -> None:
    """A terminal sends it to all processes: what they compute is finished first."""
    process = cast("Any", pool.compute(heavy(what="work"), INPUTS))["process"]
    computing = pool.start(heavy(what="sleep"), INPUTS)
    time.sleep(0.3)
    os.kill(process, signal.SIGINT)
    assert cast("Any", computing.result())["process"] == process


def run(topology: Topology) -> Any:
    bound = topology.channels[0].units[0]
    if bound.start is not None:
        return bound.start(INPUTS).result()
    assert bound.compute is not None
    return bound.compute(INPUTS)


def test_units_are_timed_and_heavy_ones_leave_the_process(
    heavy: Any, pool: UnitPool, topology: Topology
) -> None:
    metrics = Metrics(Accounting())
    ours = in_production(with_unit(topology, heavy(what="sleep")), pool, metrics.unit_seconds)
    assert run(ours)["process"] != os.getpid()
    [line] = [
        one for one in metrics.render().decode().splitlines() if "unit_seconds_sum{unit" in one
    ]
    assert line.startswith('ampelstream_unit_seconds_sum{unit="one"} 1.')


def test_light_units_stay(heavy: Any, pool: UnitPool, topology: Topology) -> None:
    light = type("Light", (heavy,), {"heavy": False})
    timed: list[tuple[str, float]] = []
    times = iter([1.0, 3.5])
    ours = in_production(
        with_unit(topology, light(what="work")),
        pool,
        lambda *one: timed.append(one),
        clock=lambda: next(times),
    )
    assert run(ours)["process"] == os.getpid()
    assert timed == [("one", 2.5)]


def test_heavy_unit_that_cannot_be_sent_is_refused(
    heavy: Any, pool: UnitPool, topology: Topology
) -> None:
    local = type("Local", (heavy,), {})  # no module holds it
    with pytest.raises(ConfigError, match=r"unit one is heavy.*cannot be pickled"):
        in_production(with_unit(topology, local(what="work")), pool)


def test_a_pool_for_as_long_as_it_is_needed(heavy: Any, topology: Topology) -> None:
    with with_pool(topology, 1) as same:
        assert same is topology
    with with_pool(with_unit(topology, heavy(what="work")), 1) as ours:
        process = run(ours)["process"]
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        wait_gone(process)


def wait_gone(process: int) -> None:
    for _ in range(100):
        os.kill(process, 0)
        time.sleep(0.1)


def test_a_pool_that_is_closed_between_two_steps_of_a_start_says_so(heavy: Any) -> None:
    pool = UnitPool(1)
    [seat] = pool._seats
    seat.prepare().shutdown()  # as `close` does in another thread
    seat._closed = True
    with pytest.raises(PoolError, match="closed"):
        pool.compute(heavy(what="pid"), INPUTS)
    pool.close()


def test_closing_twice_is_no_error_and_ends_one_that_begins(heavy: Any) -> None:
    pool = UnitPool(1)
    begins = pool.start(heavy(what="hang"), INPUTS)
    pool.close()
    pool.close()
    with pytest.raises((UnitError, CancelledError)):
        begins.result()
    assert [seat._process for seat in pool._seats] == [None]


def test_what_fails_in_another_process_is_named_with_its_place_there(heavy: Any) -> None:
    unit = heavy(what="time out")
    pool = UnitPool(1)
    try:
        failure = attempt_unit(BoundUnit("slow", unit, "c"), "compute", pool.compute, unit, INPUTS)
    finally:
        pool.close()
    assert isinstance(failure, Failure)
    line = 1 + next(
        number for number, text in enumerate(UNIT.splitlines()) if "raise TimeoutError" in text
    )
    assert failure.origin == f"heavy_unit_of_a_test.py:{line}"
    assert failure.reason == f"a service of its own (Heavy.compute at {failure.origin})"
    assert (failure.error, failure.unit) == ("TimeoutError", "slow")
