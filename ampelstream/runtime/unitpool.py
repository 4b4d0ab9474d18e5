"""How units compute in production: timed, and heavy ones in processes of a pool.

Heavy units compute at the same time, as many as the pool has processes; what an object waits for
its computation the core uses for other objects (``core/evaluation.py``).
"""

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from ampelstream.errors import ConfigError, PoolError
from ampelstream.runtime.service.child import end_with_parent
from ampelstream.topology import BoundUnit, Channel, Topology
from ampelstream.topology.ownmodules import look_beside, looked_beside
from ampelstream.units import Inputs, ObjectUnit

__all__ = ["UnitPool", "check_heavy", "has_heavy", "in_production", "with_pool"]

Result = Mapping[str, Any] | msgspec.Struct
Timed = Callable[[str, float], object]
"""Called with the name of a unit and how long it computed [s]."""
_START_SECONDS = 60.0
"""For a process to start and import what it needs [s]."""
_LOOK_SECONDS = 1.0


class UnitPool:
    """Processes for units that compute long, so that the worker's own process stays responsive.

    Parameters
    ----------
    processes
        How many.
    timeout_seconds
        After how long a computation is given up, and its process ended [s]; the wait for a free
        process does not count.
    moved
        Called about once a second while one computes, as a sign of life: whoever waits for it is
        not stuck, since it has a limit of its own.
    """

    def __init__(
        self,
        processes: int,
        *,
        timeout_seconds: float = 30.0,
        moved: Callable[[], object] = lambda: None,
    ) -> None:
        self.processes = processes
        self._timeout = timeout_seconds
        self._seats = [_Seat(moved) for _ in range(processes)]
        self._free = list(self._seats)  # the last one used is taken first: it runs already
        # a thread waits for each process, so that it is known which computation takes too long
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="unitpool")

    def start(
        self, unit: ObjectUnit, inputs: Inputs, ended: Callable[[float], object] = lambda _: None
    ) -> Future[Result]:
        """Have the unit compute in another process, as soon as one is free.

        Parameters
        ----------
        unit, inputs
            What computes, from what.
        ended
            Called, in another thread, with how long it computed [s].

        Returns
        -------
        concurrent.futures.Future
            Its result. It raises what the unit raised, and PoolError where the computation took too
            long or its process died; others that compute meanwhile are not concerned.
        """
        # here and now: what the inputs share with others is not touched by another thread
        work = pickle.dumps((unit, inputs), pickle.HIGHEST_PROTOCOL)
        return self._threads.submit(self._compute, work, ended)

    def compute(self, unit: ObjectUnit, inputs: Inputs) -> Result:
        """Do the same, and wait for it."""
        return self.start(unit, inputs).result()

    def _compute(self, work: bytes, ended: Callable[[float], object]) -> Result:
        seat = self._free.pop()  # there is one for each thread
        try:
            computation = seat.begin(work)
            began = time.monotonic()
            try:
                return seat.result(computation, self._timeout)
            finally:
                ended(time.monotonic() - began)
        finally:
            self._free.append(seat)

    def close(self) -> None:
        """End the processes, also those that compute; nothing can be started any longer."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for seat in self._seats:
            seat.close()


class _Seat:
    """One process that computes one thing at a time; a new one where the last has ended."""

    def __init__(self, moved: Callable[[], object]) -> None:
        self._moved = moved
        self._process: ProcessPoolExecutor | None = None
        self._closed = False

    def prepare(self) -> ProcessPoolExecutor:
        """Have a process that is ready to compute; PoolError where none can be started."""
        if self._process is not None:
            return self._process
        if self._closed:
            raise PoolError("the pool of processes is closed")
        try:
            self._process = process = ProcessPoolExecutor(
                1,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(looked_beside(),),
            )
            if self._closed:
                self.end()
            ready = process.submit(os.getpid)
            self._await(ready, _START_SECONDS)
            ready.result()
        except (CancelledError, RuntimeError, OSError) as error:
            # it takes too long, died or is closed, or the system gives no processes and files
            self.end()
            raise PoolError("no process could be started for it (out of memory?)") from error
        return process

    def begin(self, work: bytes) -> Future[Result]:
        """Have a process compute; PoolError where none can be started.

        One that died while it was idle is noticed here. Another takes its place: the work was not
        begun, so that it is not to blame. So is one that is closed in this moment.
        """
        with suppress(RuntimeError):  # BrokenProcessPool is one, too
            return self.prepare().submit(_run, work)
        self.end()
        try:
            return self.prepare().submit(_run, work)
        except RuntimeError as error:
            raise PoolError("its process died before it began (out of memory?)") from error

    def result(self, computation: Future[Result], timeout: float) -> Result:
        """Wait for what was begun; PoolError where it takes too long, or the process dies."""
        try:
            self._await(computation, timeout)
        except TimeoutError as error:
            self.end()
            raise PoolError(f"took longer than {timeout:g} s, and was ended") from error
        try:
            return computation.result()
        except BrokenProcessPool as error:
            self.end()
            raise PoolError("the process that computed it died (out of memory?)") from error

    def _await(self, computation: Future[Any], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not wait([computation], min(_LOOK_SECONDS, max(until - time.monotonic(), 0.0))).done:
            self._moved()
            if time.monotonic() >= until:
                raise TimeoutError

    def end(self) -> None:
        """End the process, also one that hangs."""
        pool, self._process = self._process, None
        if pool is None:
            return
        processes = list((pool._processes or {}).values())  # noqa: SLF001  (no public way to end one that hangs)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()

    def close(self) -> None:
        """End it for good; one that is just being started ends itself."""
        self._closed = True
        self.end()


def _begin(own_modules: Path | None) -> None:
    """A process of the pool begins: Ctrl-C is for the one that it computes for, which ends it.

    Parameters
    ----------
    own_modules
        Directory of the topology file, beside which units of the user's own may be.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if own_modules is not None:
        look_beside(own_modules)


def _run(work: bytes) -> Result:
    """Compute; runs in a process of the pool."""
    unit, inputs = pickle.loads(work)  # noqa: S301  (our own process made it)
    result: Result = unit.compute(inputs)
    return result


def has_heavy(topology: Topology) -> bool:
    """Whether a unit of the topology is heavy."""
    return any(bound.unit.heavy for channel in topology.channels for bound in channel.units)


def check_heavy(topology: Topology) -> None:
    """See that heavy units can be sent to another process.

    Raises
    ------
    ConfigError
        One cannot.
    """
    for channel in topology.channels:
        for bound in channel.units:
            if bound.unit.heavy:
                _check(bound)


def in_production(
    topology: Topology,
    pool: UnitPool,
    timed: Timed = lambda _name, _seconds: None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Topology:
    """Give the topology with units that are timed and, if heavy, computed in the pool.

    Parameters
    ----------
    topology
        The workflow.
    pool
        For its heavy units.
    timed
        Called when a unit has computed, from any thread.
    clock
        Seconds that never go back.

    Raises
    ------
    ConfigError
        A heavy unit cannot be sent to another process.
    """

    def bind(bound: BoundUnit[ObjectUnit]) -> BoundUnit[ObjectUnit]:
        if bound.unit.heavy:
            _check(bound)
            return replace(bound, start=_starter(bound, pool, timed))
        return replace(bound, compute=_runner(bound, timed, clock))

    def equip(channel: Channel) -> Channel:
        return replace(channel, units=tuple(map(bind, channel.units)))

    return replace(topology, channels=tuple(map(equip, topology.channels)))


@contextmanager
def with_pool(topology: Topology, processes: int, timed: Timed | None = None) -> Iterator[Topology]:
    """Give the topology with heavy units that compute in a pool, which ends with the context.

    Parameters
    ----------
    topology, processes
        The workflow, and of how many processes the pool is.
    timed
        Called when a unit has computed, from any thread; None: nobody asks.

    Raises
    ------
    ConfigError
        A heavy unit cannot be sent to another process.
    """
    if timed is None and not has_heavy(topology):
        yield topology
        return
    pool = UnitPool(processes)
    try:
        yield in_production(topology, pool, timed or _untimed)
    finally:
        pool.close()


def _untimed(_name: str, _seconds: float) -> None:
    pass


def _starter(
    bound: BoundUnit[ObjectUnit], pool: UnitPool, timed: Timed
) -> Callable[[Inputs], Future[Result]]:
    unit, name = bound.unit, bound.name
    return lambda inputs: pool.start(unit, inputs, lambda seconds: timed(name, seconds))


def _runner(
    bound: BoundUnit[ObjectUnit], timed: Timed, clock: Callable[[], float]
) -> Callable[[Inputs], Result]:
    unit, name = bound.unit, bound.name

    def compute(inputs: Inputs) -> Result:
        began = clock()
        try:
            return unit.compute(inputs)
        finally:
            timed(name, clock() - began)

    return compute


def _check(bound: BoundUnit[ObjectUnit]) -> None:
    try:
        pickle.dumps(bound.unit)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"unit {bound.name} is heavy, so it runs in another process, but it cannot be pickled: "
            f"{error}. Open what it reads when it first computes, or declare it not heavy."
        ) from error
