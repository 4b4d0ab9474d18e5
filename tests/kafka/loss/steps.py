"""Scenarios with the machinery of our steps: batches, outbox, state table."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from aiokafka.structs import TopicPartition
from ampelstream.runtime.faust.store import PartitionStore
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing

from ampelstream.errors import StateError
from ampelstream.runtime.faust.app import StepApp
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend, Transaction
from tests.kafka.loss.agents import rewind_amid_a_batch
from tests.kafka.loss.variants import Setup, our_settings, say, until

__all__ = ["copy", "disk"]

VALUE_BYTES = 12_000


class CopyTask:
    """Sends each record on, and notes it in the state."""

    def __init__(self, setup: Setup, backend: Backend) -> None:
        self.tables = Transaction(backend)
        self.pending = 0
        self._setup = setup
        self._text = os.urandom(VALUE_BYTES // 2).hex().encode()

    def handle(self, messages: Sequence[Any]) -> list[Outgoing]:
        params = self._setup.params
        if params.get("gate"):
            say("fetched")
            sys.stdin.readline()
        out = []
        for message in messages:
            if message.value == str(params.get("poison")).encode():
                raise ValueError("this record cannot be handled")
            self.tables.put(b"seen-" + message.value, self._text)
            out.append(Outgoing(f"{self._setup.name}-output", None, message.value))
        return out

    def again(self, keys: Sequence[bytes]) -> list[Outgoing]:
        del keys
        return []

    def background(self) -> list[Outgoing] | None:
        return None


def step_app(setup: Setup, outbox: Outbox) -> StepApp:
    return StepApp(
        "copy",
        TopicNames(setup.name),
        our_settings(setup),
        lambda: {"bootstrap_servers": [setup.address]},
        sources=[f"{setup.name}-source"],
        make_task=lambda _partition, backend: CopyTask(setup, backend),
        state=setup.directory / "databases",
        outbox=outbox,
        metrics=Metrics(),
        health=Health(),
        contiguous=True,
    )


def seen(app: StepApp) -> int:
    """Give the number of records that the database has noted."""
    backend = app.table.partitions_store.backend(0)
    return sum(1 for _ in backend.scan(b"seen-", b"seen."))


async def run(setup: Setup, seconds: float) -> dict[str, Any]:
    """Work as a worker does: what ends, or fails, ends everything."""
    outbox = Outbox({"bootstrap_servers": [setup.address]}, request_timeout_seconds=1.5)
    await outbox.start()
    app = step_app(setup, outbox)
    if setup.params.get("late_rewind"):
        rewind_amid_a_batch(app.app.consumer, f"{setup.name}-source", records=40, seconds=2.0)
    started = asyncio.create_task(app.start())
    parts = {asyncio.create_task(app.step.run()), asyncio.create_task(app.crashed())}
    source = TopicPartition(f"{setup.name}-source", 0)
    records = setup.params["records"]

    def ended() -> bool:
        done = app.app.consumer._committed_offset.get(source) == records
        return done or any(part.done() for part in parts)

    await until(ended, seconds)
    failures = [repr(part.exception()) for part in parts if part.done()]
    return {
        "failure": failures[0] if failures else None,
        "seen": seen(app) if app.step.partitions else None,
        "started": started.done(),
    }


async def copy(setup: Setup) -> dict[str, Any]:
    """Copy records until all are committed, or something fails."""
    return await run(setup, 15)


async def disk(setup: Setup) -> dict[str, Any]:
    """Restore state to a disk that takes nothing, for some writes or for good."""
    write, left = PartitionStore.write, setup.params["failures"]

    def failing_write(*args: Any, **kwargs: Any) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise StateError("the disk is full")
        write(*args, **kwargs)

    PartitionStore.write = failing_write  # type: ignore[method-assign]  # (the fault of this scenario)
    return await run(setup, 12)
