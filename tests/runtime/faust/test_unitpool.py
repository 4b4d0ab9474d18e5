"""Units in production: timed, and heavy ones in processes that may hang or die."""

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.errors import ConfigError, UnitError
from ampelstream.runtime.faust.unitpool import UnitPool, in_production
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.topology import Topology, build, load
from ampelstream.topology.graph import BoundUnit
from ampelstream.units import Inputs, Resources

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


def compute(topology: Topology) -> Any:
    run = topology.channels[0].units[0].compute
    assert run is not None
    return run(INPUTS)


def test_heavy_unit_runs_in_another_process(heavy: Any, pool: UnitPool) -> None:
    result = cast("dict[str, Any]", pool.compute(heavy(what="work"), INPUTS))
    assert result["inputs"] == "inputs"
    assert result["process"] != os.getpid()


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


def test_units_are_timed_and_heavy_ones_leave_the_process(
    heavy: Any, pool: UnitPool, topology: Topology
) -> None:
    metrics = Metrics(Accounting())
    times = iter([1.0, 3.5])
    ours = in_production(
        with_unit(topology, heavy(what="work")), pool, metrics, clock=lambda: next(times)
    )
    assert compute(ours)["process"] != os.getpid()
    assert b'unit_seconds_sum{unit="one"} 2.5' in metrics.render()


def test_light_units_stay(heavy: Any, pool: UnitPool, topology: Topology) -> None:
    light = type("Light", (heavy,), {"heavy": False})
    ours = in_production(with_unit(topology, light(what="work")), pool, Metrics(Accounting()))
    assert compute(ours)["process"] == os.getpid()


def test_heavy_unit_that_cannot_be_sent_is_refused(
    heavy: Any, pool: UnitPool, topology: Topology
) -> None:
    local = type("Local", (heavy,), {})  # no module holds it
    with pytest.raises(ConfigError, match=r"unit one is heavy.*cannot be pickled"):
        in_production(with_unit(topology, local(what="work")), pool, Metrics(Accounting()))


def test_closing_twice_is_no_error() -> None:
    pool = UnitPool(1)
    pool.close()
    pool.close()
    assert pool._pool is None
