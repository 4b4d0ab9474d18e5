"""The start of a worker: what it waits for, and what it answers while it waits.

A directory that its predecessor still has is free within the grace of a stop. Brokers may be away
for hours: a worker that ended for that reason would be started again and again, would answer no
probe in between, and would fill the log. So it waits for them here, alive and not ready.
"""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from ampelstream.core.accounting import Accounting
from ampelstream.errors import UnreachableError
from ampelstream.reactions.sinks import check_sinks
from ampelstream.runtime.context import WorkerContext, port_of
from ampelstream.runtime.faust.admission import Admission, open_admission
from ampelstream.runtime.kafka.names import REACT
from ampelstream.runtime.kafka.plan import check_partitions
from ampelstream.runtime.service.directorylock import hold_directory, make_directory
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.service.server import Server
from ampelstream.runtime.settings import WorkerSettings
from ampelstream.runtime.statedirectory import worker_directory
from ampelstream.runtime.unitpool import check_heavy
from ampelstream.topology import Topology

__all__ = ["begin"]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 3.0
_REMIND_SECONDS = 600.0
_USUAL_SECONDS = 15.0
"""How long brokers may not know of a group before anybody need hear of it [s]."""
_MORE_PATIENCE = 10.0
"""How much longer than its grace a predecessor may take to end [s]."""


async def begin(
    topology: Topology,
    settings: WorkerSettings,
    index: int,
    open_context: Callable[[], Awaitable[WorkerContext]],
    *,
    retry_seconds: float = _RETRY_SECONDS,
) -> tuple[WorkerContext, Admission] | None:
    """Have the brokers answer, the topology in force, and the directory for this process alone.

    Parameters
    ----------
    topology, settings, index
        Of the worker.
    open_context
        Asks the brokers; it may be tried again.
    retry_seconds
        Between two tries [s].

    Returns
    -------
    (WorkerContext, Admission) or None
        What is known, and who says when work may begin; None where SIGTERM or SIGINT came.

    Raises
    ------
    ConfigError
        A unit or a sink of the file cannot be used here; another worker keeps the directory; the
        file was replaced, or needs a word (see `Admission.accept`); or as `open_context`.
    OSError
        The directory cannot be made.
    SourceError
        The cluster refuses.
    """
    directory = worker_directory(settings.state, topology.name, index)
    _check(topology, settings, directory)
    facts = {"name": topology.name, "version": topology.version, "hash": topology.hash}
    incident(_LOG, logging.INFO, "topology", "its file is valid", **facts)
    hold = partial(hold_directory, directory, patience=settings.grace + _MORE_PATIENCE)
    with _Stopped() as stop:
        held = None
        try:
            context: WorkerContext | None = await open_context()
        except UnreachableError as error:
            # now, since the port is the predecessor's, too
            held = await hold(stop=stop)
            if held is None:
                return None
            async with _answering(topology, settings, index):
                context = await _reached(open_context, error, stop, retry_seconds)
        if context is None or stop.is_set():
            return None
        check_partitions(topology.spec, context.partitions)
        admission = open_admission(topology, context)
        # before the directory is waited for: with this, a predecessor with another file stops
        accept = partial(admission.accept, settings.word, roll_back=settings.roll_back)
        try:
            await accept()
        except UnreachableError as error:
            # such as groups of which nobody knows on the first day of a cluster, for a moment
            await _reached(accept, error, stop, retry_seconds, quiet_seconds=_USUAL_SECONDS)
        if stop.is_set() or (held is None and await hold(stop=stop) is None):
            return None
        return None if stop.is_set() else (context, admission)


def _check(topology: Topology, settings: WorkerSettings, directory: Path) -> None:
    """See that nothing but others can keep the worker from working.

    Once the file is in force all workers with another one stop: if this one could not start then,
    nobody would work. Its port is not tried, since a predecessor may have it until it stops.
    """
    check_heavy(topology)
    make_directory(directory)
    if REACT in settings.steps:
        check_sinks(topology, settings.state)


class _Stopped:
    """Context in which SIGTERM and SIGINT set an event, and do nothing else."""

    def __enter__(self) -> asyncio.Event:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return stop

    def __exit__(self, *_args: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


async def _reached(
    ask: Callable[[], Awaitable[T]],
    error: UnreachableError,
    stop: asyncio.Event,
    retry_seconds: float,
    *,
    quiet_seconds: float = 0.0,
) -> T | None:
    """Try again until brokers answer, or until it is stopped; say so behind the quiet time."""
    began = time.monotonic()
    said: float | None = None
    while True:
        waited = time.monotonic() - began
        if waited >= (quiet_seconds if said is None else said + _REMIND_SECONDS):
            text = f"waiting for the brokers: {error}"
            incident(_LOG, logging.WARNING, "broker_away", text, seconds=round(waited))
            said = waited
        try:
            async with asyncio.timeout(retry_seconds):
                await stop.wait()
        except TimeoutError:
            pass
        if stop.is_set():
            return None
        try:
            answer = await ask()
        except UnreachableError as again:
            error = again
            continue
        if said is not None:
            waited = round(time.monotonic() - began)
            incident(_LOG, logging.INFO, "broker_back", "the brokers answer", seconds=waited)
        return answer


@asynccontextmanager
async def _answering(
    topology: Topology, settings: WorkerSettings, index: int
) -> AsyncIterator[None]:
    """Answer probes meanwhile: alive, and not ready, since no broker answers."""
    metrics, health = Metrics(Accounting()), Health(no_broker_after=0.0)
    metrics.topology(topology.name, topology.version, topology.hash)
    for step in settings.steps:
        health.expect(step)
    server = Server(health, metrics, host=settings.host, port=port_of(settings, index))
    await server.start()
    beat = asyncio.create_task(_beat(health, metrics))
    try:
        yield
    finally:
        beat.cancel()
        await server.stop()


async def _beat(health: Health, metrics: Metrics) -> None:
    while True:
        health.beat()
        for step, seconds in health.silent().items():
            health.progress(step)  # it waits on purpose
            metrics.step(step, ready=False, silent=seconds, partitions=0, inbox=0)
        await asyncio.sleep(1.0)
