"""Our way of reading, for ``floor_child.py``: the import of this module changes aiokafka."""

import asyncio
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faust
from kafka_ingest import Nobody

from ampelstream.runtime.kafka.records import source_record
from ampelstream.runtime.portion import Portion
from ampelstream.runtime.safefaust.appsettings import safe_settings
from ampelstream.runtime.safefaust.batches import Batch, batches
from ampelstream.runtime.safefaust.driver import FETCH_BYTES
from ampelstream.runtime.safefaust.outbox import Outbox
from ampelstream.runtime.safefaust.unreadable import set_aside
from ampelstream.runtime.service.journal import Journal

__all__ = ["FETCH_BYTES", "ingest", "set_aside"]


async def ingest(address: str, topic: str, clock: Any) -> None:
    """The ingest of a worker with a processor that does nothing: records, journal, commits."""
    outbox = Outbox({"bootstrap_servers": address})
    await outbox.start()
    finished = asyncio.Event()
    with tempfile.TemporaryDirectory() as scratch:
        settings: Any = safe_settings(
            uuid.uuid4().hex,
            {"bootstrap_servers": [address]},
            url="http://127.0.0.1:6066",
            directory=Path(scratch),
        )
        app = faust.App(**settings)
        journal = Journal(Path(scratch), "floor")

        def work(records: Sequence[Any]) -> int:
            portion = Portion(records)
            for one in portion:
                record = source_record(one, "alerts", ours=True)
                journal.begin(record.read_at)
                journal.end(record.read_at)
            journal.committed()
            return portion.handled

        @app.agent(app.topic(topic))
        async def floor(stream: Any) -> None:
            batch: Batch[Any]
            async for batch in batches(stream, "floor", outbox, Nobody()):
                handled = await batch.run(work, batch.records)
                await batch.commit((), handled)
                if clock.add(handled):
                    finished.set()

        await app.start()
        await finished.wait()
        await app.stop()
    await outbox.stop()
