"""How units compute in production: timed, and heavy ones in a pool of processes."""

import pickle
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import msgspec

from ampelstream.errors import ConfigError, UnitError
from ampelstream.runtime.service.child import end_with_parent
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.topology import BoundUnit, Topology
from ampelstream.units import Inputs, ObjectUnit

__all__ = ["UnitPool", "in_production"]

Result = Mapping[str, Any] | msgspec.Struct


class UnitPool:
    """Processes for units that compute long, so that the worker's own process stays responsive.

    Parameters
    ----------
    processes
        How many.
    timeout_seconds
        After how long a computation is given up, and its process ended [s].
    """

    def __init__(self, processes: int, *, timeout_seconds: float = 30.0) -> None:
        self._processes = processes
        self._timeout = timeout_seconds
        self._pool: ProcessPoolExecutor | None = None

    def compute(self, unit: ObjectUnit, inputs: Inputs) -> Result:
        """Have the unit compute in another process, and wait for it.

        Raises
        ------
        UnitError
            It took too long, or its process died.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes, mp_context=get_context("spawn"), initializer=end_with_parent
            )
        try:
            return self._pool.submit(unit.compute, inputs).result(self._timeout)
        except TimeoutError as error:
            self.close()
            raise UnitError(f"took longer than {self._timeout:g} s, and was ended") from error
        except BrokenProcessPool as error:
            self.close()
            raise UnitError("the process that computed it died (out of memory?)") from error

    def close(self) -> None:
        """End the processes, also those that compute."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes = list((pool._processes or {}).values())  # noqa: SLF001  (no public way to end one that hangs)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()


def _runner(
    bound: BoundUnit[ObjectUnit], pool: UnitPool, metrics: Metrics, clock: Callable[[], float]
) -> Callable[[Inputs], Result]:
    unit, name = bound.unit, bound.name

    def compute(inputs: Inputs) -> Result:
        began = clock()
        try:
            return pool.compute(unit, inputs) if unit.heavy else unit.compute(inputs)
        finally:
            metrics.unit_seconds(name, clock() - began)

    return compute


def in_production(
    topology: Topology,
    pool: UnitPool,
    metrics: Metrics,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Topology:
    """Give the topology with units that are timed and, if heavy, computed in the pool.

    Raises
    ------
    ConfigError
        A heavy unit cannot be sent to another process.
    """
    channels = []
    for channel in topology.channels:
        for bound in channel.units:
            if bound.unit.heavy:
                _check(bound)
        units = tuple(
            replace(bound, compute=_runner(bound, pool, metrics, clock)) for bound in channel.units
        )
        channels.append(replace(channel, units=units))
    return replace(topology, channels=tuple(channels))


def _check(bound: BoundUnit[ObjectUnit]) -> None:
    try:
        pickle.dumps(bound.unit)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"unit {bound.name} is heavy, so it runs in another process, but it cannot be pickled: "
            f"{error}. Open what it reads when it first computes, or declare it not heavy."
        ) from error
