"""The part of ingest that has a state: alerts that wait for the schema that they name.

A packet of unknown schema was written to the topic of parked records, once. This application reads
it there, and notes its offset in a table; the offset of the group goes on, and others are not held
up. Meanwhile the registry is asked for the schema, by its number. When it has it, the packet is
fetched by its offset, and handled as any other (see ``core/waiting.py``).
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import faust
from faust.types import StreamT

from ampelstream.core.ingest import Ingest
from ampelstream.core.waiting import Note, Waiting
from ampelstream.errors import ConfigError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.faust.app import Shared, state_table
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.kafka.names import PARKED_STEP
from ampelstream.runtime.kafka.picking import RecordPicker
from ampelstream.runtime.kafka.records import source_record
from ampelstream.runtime.kafka.schemas import WireSchemas
from ampelstream.runtime.portion import Portion
from ampelstream.runtime.safefaust.batches import Batch, Stateful, batches
from ampelstream.runtime.safefaust.outbox import Outgoing
from ampelstream.runtime.service.log import incident
from ampelstream.state.store import Transaction

__all__ = ["parked_app"]

_LOG = logging.getLogger(__name__)

_AT_ONCE = 100
"""Packets that are fetched again at a time."""


def parked_app(shared: Shared, source: Input) -> faust.App:
    """What was parked becomes detections when its schema is known, or dead letters.

    Raises
    ------
    ConfigError
        There is no registry.
    """
    registry = source.registry
    if registry is None:
        raise ConfigError("nothing is parked without a schema registry")
    app = shared.app(source.name, source.group, source.connection)
    settings, topic = shared.context.settings, shared.names.parked
    table = state_table(app, shared, PARKED_STEP, topic)
    schemas = WireSchemas(registry)
    journal = shared.journal(source.name)

    def processor(partition: int, state: Transaction) -> Waiting:
        journal.consult()
        tally = shared.accounting.tally()
        ingest = Ingest(shared.topology, tally, time.time, schemas=registry, in_hand=journal)
        made = Waiting(ingest, state, registry, time.time, limit_seconds=settings.park_limit)
        if table.remade(partition):
            text = "records that waited for a schema are gone: their topic was made anew"
            facts = {"topic": topic, "partition": partition, "records": made.forget()}
            incident(_LOG, logging.ERROR, "parked_lost", text, **facts)
        return made

    def take(batch: Batch[Waiting]) -> tuple[list[Outgoing], int]:
        portion = Portion(batch.records)
        given = (source_record(one, source.stream, ours=source.ours) for one in portion)
        return shared.encode(batch.processor.process(given)), portion.handled

    def resume(batch: Batch[Waiting], notes: Sequence[Note], found: Mapping[int, Any]) -> Any:
        fetched = [note for note in notes if note.offset in found]
        records = {note.offset: _record(source, batch, note, found) for note in fetched}
        return shared.encode(batch.processor.resume(fetched, records))

    def wanted() -> Iterable[int]:
        return {one for waiting in list(table.processors.values()) for one in waiting.schema_ids}

    async def ask() -> None:
        await schemas.watch(wanted, settings.park)

    app.task(ask)
    state = Stateful(table=table, begin=Transaction, processor=processor)

    @app.agent(app.topic(topic), name="parked")
    async def parked(stream: StreamT[Any]) -> None:
        async with RecordPicker(source.connection.client_options) as picker:
            async for batch in batches(
                stream, source.name, shared.outbox, shared.observer, state=state
            ):
                handled = 0
                if batch.records:
                    outgoing, handled = await batch.run(take, batch)
                else:
                    notes = await batch.run(batch.processor.due, _AT_ONCE)
                    offsets = [note.offset for note in notes]
                    found = await picker.pick(topic, batch.partition, offsets) if notes else {}
                    outgoing = await batch.run(resume, batch, notes, found)
                if await batch.commit(outgoing, handled):
                    batch.processor.committed()
                else:
                    journal.abandoned()

    return app


def _record(
    source: Input, batch: Batch[Waiting], note: Note, found: Mapping[int, Any]
) -> SourceRecord:
    """Record of a note; of one that the topic has no longer, where it was."""
    record = found[note.offset]
    if record is not None:
        return source_record(record, source.stream, ours=source.ours)
    where = Coordinates(source.topics[0], batch.partition, note.offset)
    fault = (
        f"it waited for schema {note.schema_id}, and was removed from the topic before that was "
        "known: keep the topic for longer than --park-limit"
    )
    return SourceRecord(where, source.stream, b"", fault=fault, since=note.since, expires=True)
