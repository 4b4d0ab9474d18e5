"""The last record of each key of a topic: candidates, and what waits for a schema."""

import time
from collections.abc import Callable
from typing import Any

from aiokafka.structs import TopicPartition

from ampelstream.codecs.own import decode_candidate
from ampelstream.core.waiting import is_note
from ampelstream.errors import ConfigError, DecodeError, SourceError
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.kafka.admin import inspect
from ampelstream.runtime.kafka.clients import open_consumer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import PARKED_STEP, TopicNames

__all__ = ["count_waiting", "last_candidates", "last_values"]

_POLL_MS = 500
_SILENCE_SECONDS = 60.0


async def last_candidates(connection: Connection, topic: str, *, create: str) -> list[Candidate]:
    """Read the candidates that count: last revisions, rejected ones left out, sorted by their key.

    Parameters
    ----------
    connection
        Our own cluster.
    topic
        The topic of candidates.
    create
        The command that creates topics, for the message.

    Raises
    ------
    ConfigError
        The topic is not there.
    DecodeError
        A record is no candidate.
    SourceError
        The cluster cannot be reached, or stops answering.
    """
    values = await last_values(connection, topic, create=create)
    found = (_decoded(where, value) for where, value in values.values())
    kept = [one for one in found if one.status is not CandidateStatus.REJECTED]
    return sorted(kept, key=lambda candidate: candidate.key)


def _decoded(where: Coordinates, value: bytes) -> Candidate:
    try:
        return decode_candidate(value)
    except DecodeError as error:
        raise DecodeError(f"{where}: {error}") from error


async def count_waiting(connection: Connection, names: TopicNames, *, create: str) -> int:
    """How many alerts are parked, as the changelog of what waits for a schema says.

    Raises
    ------
    ConfigError, SourceError
        As of `last_candidates`.
    """
    values = await last_values(connection, names.changelog(PARKED_STEP), create=create)
    return sum(is_note(key or b"") for _, key in values)


async def last_values(
    connection: Connection,
    topic: str,
    *,
    create: str,
    clock: Callable[[], float] = time.monotonic,
) -> dict[tuple[int, bytes | None], tuple[Coordinates, bytes]]:
    """Last value of each partition and key of a topic, with its coordinates; up to its end now.

    No consumer group is joined, so that whoever works on the topic is not disturbed. Only the last
    value of each key is held in memory, encoded.
    """
    cluster = await inspect(connection, [topic])
    if topic not in cluster.topics:
        raise ConfigError(f"there is no topic {topic}; create it with: {create}")
    partitions = [TopicPartition(topic, part) for part in range(cluster.topics[topic].partitions)]
    kept: dict[tuple[int, bytes | None], tuple[Coordinates, bytes]] = {}
    async with open_consumer(
        connection, auto_offset_reset="earliest", enable_auto_commit=False
    ) as client:
        client.assign(partitions)
        first = await client.beginning_offsets(partitions)
        last = await client.end_offsets(partitions)
        open_ = {tp for tp in partitions if first[tp] < last[tp]}
        for tp in partitions:
            client.seek(tp, first[tp])
        heard = clock()
        while open_:
            batches = await client.getmany(*open_, timeout_ms=_POLL_MS)
            for tp, records in batches.items():
                for record in records:
                    if record.offset < last[tp]:
                        _keep(kept, record)
            # the position also passes what is no record, such as the marks of transactions
            done = {tp for tp in open_ if await client.position(tp) >= last[tp]}
            client.pause(*done)
            open_ -= done
            if batches or done:
                heard = clock()
            elif clock() - heard > _SILENCE_SECONDS:
                raise SourceError(
                    f"{topic} at {connection.describe()} gave nothing for {_SILENCE_SECONDS:.0f} s "
                    "before its end; look at the brokers, then try again"
                )
    return kept


def _keep(kept: dict[tuple[int, bytes | None], tuple[Coordinates, bytes]], record: Any) -> None:
    key = (record.partition, record.key)
    if record.value is None:  # deleted
        kept.pop(key, None)
    else:
        where = Coordinates(record.topic, record.partition, record.offset)
        kept[key] = (where, record.value)
