"""The topology as Faust applications: ingest, objects, react, one agent each.

Each agent has an application of its own, which is a consumer group of its own: so a sink that is
slow does not hold up the matching, and a worker may run some of the steps. Alerts and notices are
read from any cluster, by an application on that cluster; everything else lies on ours.

Faust calls an agent once, when the worker starts. All three have the same body: `batches` gives
what has come in; a processor of the core works on it in the agent's own thread (``batch.run``), for
about a second; ``batch.commit`` produces the outputs, through our own outbox and never through
Faust's producer, and makes them, the state and the offsets of what was handled durable
(``safefaust/batches.py``); the rest comes again. The outputs of one
agent are records of the topics that the next one reads: ingest -> detections and events -> objects
-> candidates -> react.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import faust
from faust.types import TP, StreamT

from ampelstream.core.accounting import Accounting
from ampelstream.core.events import MapCache
from ampelstream.core.ingest import Ingest
from ampelstream.core.objects import Objects
from ampelstream.core.ownership import Word
from ampelstream.core.react import STRANDED, React
from ampelstream.core.state import commit_order
from ampelstream.errors import StorageError
from ampelstream.model.localisation import no_map
from ampelstream.model.streams import Output
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.reactions.sinks import open_sinks
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.admission import client_id
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, STATE_TABLE, TopicNames
from ampelstream.runtime.kafka.plan import KEEP_REMOVALS_DAYS
from ampelstream.runtime.kafka.records import encode, record_of, source_record
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.kafka.topologylog import BackfillPlan
from ampelstream.runtime.mapfetch import MapFetcher, MapsAhead
from ampelstream.runtime.portion import Portion
from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.batches import Batch, Stateful, batches
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.runtime.service.journal import Journal, Journals
from ampelstream.runtime.service.log import incident
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

__all__ = ["Shared", "ingest_app", "objects_app", "react_app", "state_table"]

_LOG = logging.getLogger(__name__)
Prepare = Callable[[Sequence[Any]], Awaitable[None]]
_SLICE_SECONDS = 0.1
"""How long a sweep goes on at a time [s]: alerts may have to wait for it."""
_CACHE_BYTES, _WRITE_BUFFER_BYTES = 16 << 20, 8 << 20
"""Memory of each partition's database [byte]."""


class _Copy(RocksBackend):
    """Database whose durable copy is a changelog: a disk that fails at the end loses nothing."""

    def close(self) -> None:
        """Close; what the disk does not take is said, and restored by the next start."""
        try:
            super().close()
        except StorageError as error:
            text = f"{error} (nothing is lost: the changelog has all of it)"
            incident(_LOG, logging.WARNING, "not_closed", text)


_open_database = partial(
    # the changelog is the durable copy: a commit need not wait for this disk
    _Copy,
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
    backfill
        The last backfill for the filters of the topology; None without one.
    journals
        Where it is written what each step has in hand.
    at_once
        How many objects are evaluated at the same time, where units are heavy.
    """

    topology: Topology
    names: TopicNames
    context: WorkerContext
    url: str
    outbox: Outbox
    observer: Watching
    accounting: Accounting
    journals: Journals
    at_once: int = 1
    backfill: BackfillPlan | None = None

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
            client=client_id(self.topology.digest if name == OBJECTS else self.topology.file),
        )
        return faust.App(**settings)

    def journal(self, step: str) -> Journal:
        """Open the journal of a step; what is begun there is a sign of life."""
        return self.journals.open(step, self.observer.pulse(step))

    def encode(self, outputs: Sequence[Output], partition: int | None = None) -> list[Outgoing]:
        """Give the records of what a processor gave."""
        return encode(outputs, self.names, self.context.partitions, partition=partition)


def ingest_app(
    shared: Shared,
    source: Input,
    until: Mapping[TP, int] | None = None,
    pace: Prepare | None = None,
) -> faust.App:
    """Alerts become detections, and notices events, on as many workers as it takes.

    Parameters
    ----------
    shared, source
        Of the worker; what is read.
    until
        For a backfill: offsets behind what is to be filtered anew. What lies behind is new, and not
        this application's.
    pace
        For a backfill: awaited before each batch.
    """
    app = shared.app(source.name, source.group, source.connection)
    topic = app.topic(*source.topics, pattern=source.pattern)
    journal = shared.journal(source.name)
    settings = shared.context.settings
    fetches = settings.fetch_maps and source.stream == "notices"
    maps = MapsAhead(shared.topology, MapFetcher(settings.map_hosts)) if fetches else None

    def processor() -> Ingest:
        again, known = until is not None, source.registry
        accounting = shared.accounting
        tally = accounting.backfill_tally() if again else accounting.tally()
        return Ingest(
            shared.topology,
            tally,
            time.time,
            map_at=no_map if maps is None else maps.at,
            schemas=known,
            parks=known is not None and not again,
            backfill=again,
            in_hand=journal,
        )

    def work(ingest: Ingest, records: Sequence[Any]) -> tuple[list[Outgoing], int]:
        wanted = [one for one in records if until is None or _is_before(one, until)]
        given = [source_record(one, source.stream, ours=source.ours) for one in wanted]
        ingest.look_ahead(given)
        portion = Portion(given)
        outputs = [output for _, found in ingest.each(portion) for output in found]
        shared.observer.all_failed(source.name, ingest.all_failed)
        if portion.handled == len(given):
            return shared.encode(outputs), len(records)
        # those before the first one that is left for the next batch are handled, or not wanted
        return shared.encode(outputs), records.index(wanted[portion.handled])

    steps = [] if pace is None else [pace]
    if maps is not None:
        steps.append(maps.prepare)
    if source.registry is not None:
        steps.append(WireSchemas(source.registry).prepare)

    async def prepare(records: Sequence[Any]) -> None:
        for step in steps:
            await step(records)

    @app.agent(topic, name="ingest")
    async def ingest(stream: StreamT[Any]) -> None:
        processing, term = processor(), -1
        batch: Batch[Any]
        async for batch in batches(
            stream, source.name, shared.outbox, shared.observer, prepare=prepare if steps else None
        ):
            if batch.term != term:  # other partitions than before
                term = batch.term
                journal.consult()
            outgoing, handled = await batch.run(work, processing, batch.records)
            if await batch.commit(outgoing, handled):
                processing.committed()
            else:
                # the new owner of the partition does this batch again, and counts it: what this
                # processor has counted of it is dropped with the processor
                processing = processor()
                journal.abandoned()

    return app


def objects_app(shared: Shared) -> faust.App:
    """Detections and events become candidates."""
    names = shared.names
    app = shared.app(OBJECTS, names.app(OBJECTS), shared.context.connection)
    topic = app.topic(names.detections, names.events)
    maps = MapCache()  # all partitions have the same events; they are worked on in one thread
    journal = shared.journal(OBJECTS)

    def processor(_partition: int, state: Transaction) -> Objects:
        journal.consult()
        plan = shared.backfill
        return Objects(
            shared.topology,
            state,
            shared.accounting.tally(),
            time.monotonic,
            maps=maps,
            # what changed since this state was used, be it several times, was chosen for the whole
            # cluster: nothing is refused here, and that there is a backfill says its name
            word=Word.FROM_NOW_ON,
            backfill="" if plan is None else plan.id,
            in_hand=journal,
            at_once=shared.at_once,
        )

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
            outgoing, handled = await batch.run(_work, shared, batch)
            if await batch.commit(outgoing, handled):
                batch.processor.committed()
                shared.observer.sweeping(batch.partition, batch.processor.pending)
            else:
                journal.abandoned()

    return app


def react_app(shared: Shared) -> faust.App:
    """Candidates become messages to the outside."""
    names = shared.names
    app = shared.app(REACT, names.app(REACT), shared.context.connection)
    topic = app.topic(names.candidates)
    sinks = Dispatcher(open_sinks(shared.topology, shared.context.settings.state))
    journal = shared.journal(REACT)

    table = state_table(app, shared, REACT, names.candidates)

    def processor(partition: int, state: Transaction) -> React:
        journal.consult()
        tally = shared.accounting.tally()
        made = React(shared.topology, state, tally, time.monotonic, sinks, in_hand=journal)
        if table.remade(partition):
            made.forget_offsets()
        if made.stranded:
            facts = {"partition": partition, "messages": made.stranded}
            incident(_LOG, logging.WARNING, "stranded", STRANDED % made.stranded, **facts)
        return made

    state = Stateful(table=table, begin=Transaction, processor=processor)

    @app.agent(topic, name=REACT)
    async def react(stream: StreamT[Any]) -> None:
        # compaction makes holes: nothing says that a record is missing
        async for batch in batches(stream, REACT, shared.outbox, shared.observer, state=state):
            outgoing, handled = await batch.run(_work, shared, batch)
            if await batch.commit(outgoing, handled):
                batch.processor.committed()
            else:
                journal.abandoned()

    return app


def _is_before(record: Any, until: Mapping[TP, int]) -> bool:
    return bool(record.offset < until.get(TP(record.topic, record.partition), 0))


def _work(shared: Shared, batch: Batch[Any]) -> tuple[list[Outgoing], int]:
    """Let a processor work on the records of a batch; gives the outputs of how many.

    A batch without records is the turn of what the processor has pending: sweeps of the objects
    step, messages that a sink has yet to take.
    """
    portion = Portion(batch.records)
    if batch.records:
        given = (record_of(one, shared.names) for one in portion)
        outputs = batch.processor.process(given)
    else:
        outputs = batch.processor.advance(_SLICE_SECONDS)
    return shared.encode(outputs, batch.partition), portion.handled


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
