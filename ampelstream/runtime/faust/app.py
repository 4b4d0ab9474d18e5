"""The topology as Faust applications: ingest, objects, react, one agent each.

Each agent has an application of its own, which is a consumer group of its own: so a sink that is
slow does not hold up the matching, and a worker may run some of the steps. Alerts and notices are
read from any cluster, by an application on that cluster; everything else lies on ours.

Faust calls an agent once, when the worker starts. All three have the same body: `batches` gives
what has come in; a processor of the core works on it in the agent's own thread (``batch.run``);
``batch.commit`` produces the outputs, through our own outbox and never through Faust's producer,
and makes them, the state and the offsets durable (``safefaust/batches.py``). The outputs of one
agent are records of the topics that the next one reads: ingest -> detections and events -> objects
-> candidates -> react.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import faust
from faust.types import StreamT

from ampelstream.core.accounting import Accounting
from ampelstream.core.events import MapCache
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.core.react import React
from ampelstream.core.state import commit_order
from ampelstream.model.streams import Output
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import open_sinks
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, STATE_TABLE, TopicNames
from ampelstream.runtime.kafka.plan import KEEP_REMOVALS_DAYS
from ampelstream.runtime.kafka.records import encode, record_of, source_record
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.batches import Batch, Stateful, batches
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

__all__ = ["Shared", "ingest_app", "objects_app", "react_app", "state_table"]

_SLICE_SECONDS = 0.1
"""How long a sweep goes on at a time [s]: alerts may have to wait for it."""
_CACHE_BYTES, _WRITE_BUFFER_BYTES = 16 << 20, 8 << 20
"""Memory of each partition's database [byte]."""
_open_database = partial(
    # the changelog is the durable copy: a commit need not wait for this disk
    RocksBackend,
    sync=False,
    cache_bytes=_CACHE_BYTES,
    write_buffer_bytes=_WRITE_BUFFER_BYTES,
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the applications of a worker share.

    Attributes
    ----------
    topology, names, context
        The workflow, its topics, and the settings.
    url
        Where this worker answers.
    outbox
        Produces on our cluster.
    observer, accounting
        Is notified of what happens (metrics, health); counts.
    """

    topology: Topology
    names: TopicNames
    context: WorkerContext
    url: str
    outbox: Outbox
    observer: Watching
    accounting: Accounting

    def app(self, name: str, group: str, connection: Connection) -> faust.App:
        """Make an application on a cluster."""
        directory = self.context.directory / "faust" / name
        directory.mkdir(parents=True, exist_ok=True)
        times, instance = self.context.settings.times, self.context.instance
        settings: Any = safe_settings(
            group,
            connection.client_options(),
            url=self.url,
            directory=directory,
            session=times.session,
            heartbeat=times.heartbeat,
            rebalance=times.rebalance,
            instance=instance and f"{instance}-{name}",
            refresh_seconds=self.context.settings.refresh,
        )
        return faust.App(**settings)

    def encode(self, outputs: Sequence[Output], partition: int | None = None) -> list[Outgoing]:
        """Give the records of what a processor gave."""
        return encode(outputs, self.names, self.context.partitions, partition=partition)


def ingest_app(shared: Shared, source: Input) -> faust.App:
    """Alerts become detections, and notices events, on as many workers as it takes."""
    app = shared.app(source.name, source.group, source.connection)
    topic = app.topic(*source.topics, pattern=source.pattern)

    def processor() -> Ingest:
        tally, known = shared.accounting.tally(), source.registry
        return Ingest(shared.topology, tally, time.time, schemas=known, parks=known is not None)

    def work(ingest: Ingest, records: Sequence[Any]) -> list[Outgoing]:
        batch = [source_record(one, source.stream, ours=source.ours) for one in records]
        return shared.encode(ingest.process(batch))

    prepare = None
    if source.registry is not None:
        prepare = WireSchemas(source.registry).prepare

    @app.agent(topic, name="ingest")
    async def ingest(stream: StreamT[Any]) -> None:
        processing = processor()
        batch: Batch[Any]
        async for batch in batches(
            stream, source.name, shared.outbox, shared.observer, prepare=prepare
        ):
            outgoing = await batch.run(work, processing, batch.records)
            if await batch.commit(outgoing):
                processing.committed()
            else:
                # the new owner of the partition does this batch again, and counts it: what this
                # processor has counted of it is dropped with the processor
                processing = processor()

    return app


def objects_app(shared: Shared) -> faust.App:
    """Detections and events become candidates."""
    names = shared.names
    app = shared.app(OBJECTS, names.app(OBJECTS), shared.context.connection)
    topic = app.topic(names.detections, names.events)
    maps = MapCache()  # all partitions have the same events; they are worked on in one thread

    def processor(_partition: int, state: Transaction) -> Objects:
        return Objects(shared.topology, state, shared.accounting.tally(), time.monotonic, maps=maps)

    # called by `safefaust.fencing` where another worker, which had lost the partition and did not
    # know it yet, wrote candidates into it: they are overwritten with what the state says
    def again(objects: Objects, partition: int, keys: Sequence[bytes]) -> list[Outgoing]:
        return shared.encode(objects.again([key.decode() for key in keys]), partition)

    state = Stateful(
        table=state_table(app, shared, OBJECTS, names.detections, names.events),
        begin=Transaction,
        processor=processor,
        exclusive=names.candidates,
        again=again,
    )

    @app.agent(topic, name=OBJECTS)
    async def objects(stream: StreamT[Any]) -> None:
        async for batch in batches(
            stream, OBJECTS, shared.outbox, shared.observer, state=state, contiguous=True
        ):
            outgoing = await batch.run(_work, shared, batch)
            if await batch.commit(outgoing):
                batch.processor.committed()
                shared.observer.sweeping(batch.partition, batch.processor.pending)

    return app


def react_app(shared: Shared) -> faust.App:
    """Candidates become messages to the outside."""
    names = shared.names
    app = shared.app(REACT, names.app(REACT), shared.context.connection)
    topic = app.topic(names.candidates)
    sinks = Dispatcher(open_sinks(shared.topology, shared.context.settings.state))

    table = state_table(app, shared, REACT, names.candidates)

    def processor(partition: int, state: Transaction) -> React:
        made = React(shared.topology, state, shared.accounting.tally(), time.monotonic, sinks)
        if table.remade(partition):
            made.forget_offsets()
        return made

    state = Stateful(table=table, begin=Transaction, processor=processor)

    @app.agent(topic, name=REACT)
    async def react(stream: StreamT[Any]) -> None:
        # compaction makes holes: nothing says that a record is missing
        async for batch in batches(stream, REACT, shared.outbox, shared.observer, state=state):
            outgoing = await batch.run(_work, shared, batch)
            if await batch.commit(outgoing):
                batch.processor.committed()

    return app


def _work(shared: Shared, batch: Batch[Any]) -> list[Outgoing]:
    """Let a processor work on the records of a batch.

    A batch without records is the turn of what the processor has pending: sweeps of the objects
    step, messages that a sink has yet to take.
    """
    if batch.records:
        records = [record_of(one, shared.names) for one in batch.records]
        return shared.encode(batch.processor.process(records), batch.partition)
    return shared.encode(batch.processor.advance(_SLICE_SECONDS), batch.partition)


def state_table(app: Any, shared: Shared, step: str, *sources: str) -> StateTable:
    """State of a step: a RocksDB for each partition, and a changelog."""
    table: StateTable = app.Table(STATE_TABLE, key_type=bytes, value_type=bytes)
    table.sources = sources
    table.state_directory = shared.context.directory / step
    table.open_database = _open_database
    table.client_options = shared.context.connection.client_options
    table.commit_order = commit_order
    table.keep_seconds = KEEP_REMOVALS_DAYS * 86_400 / 2
    return table
