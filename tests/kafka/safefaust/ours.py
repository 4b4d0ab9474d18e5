"""Scenarios with batches: with state, as a step that copies; and without, from a pattern."""

import asyncio
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aiokafka.structs import TopicPartition
from faust.types import TP

from ampelstream.errors import StateError
from ampelstream.runtime.safefaust.batches import Batch, Stateful, batches
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.partitionstore import PartitionStore
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from tests.kafka.safefaust.stock import late_rewind
from tests.kafka.safefaust.variants import Setup, make_app, say, start, until, wait_for_end

__all__ = ["Nobody", "copy", "disk"]

VALUE_BYTES = 12_000


class Nobody:
    """An observer that does not listen."""

    @contextmanager
    def busy(self, _name: str) -> Iterator[None]:
        yield

    def ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (the observer's interface)
        pass

    def committed(self, name: str) -> None:
        pass

    def progress(self, name: str) -> None:
        pass

    def assigned(self, name: str, partitions: Collection[TP]) -> None:
        pass

    def revoked(self, name: str, partitions: Collection[TP]) -> None:
        pass

    def restored(self, name: str, records: int, left: int) -> None:
        pass

    def batch_seconds(self, name: str, seconds: float) -> None:
        pass

    def lag(self, name: str, behind: Mapping[TP, int]) -> None:
        pass

    def unanswered(self, name: str) -> None:
        pass


class Copying:
    """Sends each record on, and notes it in the state."""

    pending = 0

    def __init__(self, setup: Setup, state: Transaction) -> None:
        self._state, self._setup = state, setup
        self._text = os.urandom(VALUE_BYTES // 2).hex().encode()

    def process(self, records: Sequence[Any]) -> list[Outgoing]:
        params = self._setup.params
        if params.get("gate"):
            say("fetched")
            sys.stdin.readline()
        out = []
        for record in records:
            if record.value == str(params.get("poison")).encode():
                raise ValueError("this record cannot be handled")
            self._state.put(b"seen-" + record.value, self._text)
            out.append(Outgoing(f"{self._setup.name}-output", None, record.value))
        return out


def copying_app(setup: Setup, outbox: Outbox) -> tuple[Any, StateTable]:
    app = make_app(setup)
    table: StateTable = app.Table("state", key_type=bytes, value_type=bytes, partitions=1)
    table.state_directory = setup.directory / "databases"
    table.open_database = RocksBackend
    table.client_options = lambda: {"bootstrap_servers": [setup.address]}
    state: Stateful[Copying, Transaction] = Stateful(
        table, Transaction, lambda _partition, transaction: Copying(setup, transaction)
    )

    async def work(stream: Any) -> None:
        batch: Batch[Copying]
        async for batch in batches(stream, "copy", outbox, Nobody(), state=state, contiguous=True):
            outputs = await batch.run(batch.processor.process, batch.records)
            await batch.commit(outputs)

    app.agent(app.topic(f"{setup.name}-source"), name="copy")(work)
    return app, table


def seen(table: StateTable) -> int:
    """Give the number of records that the database has noted."""
    backend = table.partitions_store.backend(0)
    return sum(1 for _ in backend.scan(b"seen-", b"seen."))


async def run(setup: Setup, seconds: float) -> dict[str, Any]:
    """Work until all is committed, or the application ends of something."""
    outbox = Outbox({"bootstrap_servers": [setup.address]}, request_timeout_seconds=1.5)
    await outbox.start()
    app, table = copying_app(setup, outbox)
    if setup.params.get("late_rewind"):
        inbox = app.consumer.inbox
        late_rewind(app.consumer, lambda: not inbox.empty, 2.0, lambda: None)
    source = TopicPartition(f"{setup.name}-source", 0)
    records = setup.params["records"]

    def done() -> bool:
        return bool(app.consumer._committed_offset.get(source) == records)

    starting = asyncio.ensure_future(start(app))
    await until(lambda: app.crashed or done(), seconds)
    noted = seen(table) if table.processors else None
    failure = await wait_for_end(app, done, 0)
    starting.cancel()
    return {"failure": failure, "seen": noted}


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
