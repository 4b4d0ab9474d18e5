"""Restoring partitions from a changelog: in batches, over a connection of its own.

Faust hands every changelog record through a queue and a callback, some thousands a second; a worker
that starts on an empty disk would be away for long. Here what one request brings goes into the
database as one batch, and Faust finds nothing left to restore.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ampelstream.runtime.safefaust.failures import RecoveryError, StoreError

__all__ = ["restore"]

Apply = Callable[[int, Mapping[bytes, bytes | None], int], None]
_BATCH = 2000
_FETCH_BYTES = 8 << 20
_POLL_MS = 500


async def restore(
    options: Mapping[str, Any],
    topic: str,
    persisted: Mapping[int, int | None],
    apply: Apply,
    progress: Callable[[int, int], None],
) -> None:
    """Read a changelog from where each partition's database is to its end.

    Parameters
    ----------
    options
        Connection, as keyword arguments of aiokafka.
    topic
        The changelog.
    persisted
        For each partition the last offset that its database holds; None for a new one.
    apply
        Writes changes (None deletes) and the offset that they reach to a partition's database.
    progress
        Called with the number of records of each batch, and how many are left at most (compaction
        leaves holes): first with 0 and all of them, last with 0 and 0.

    Raises
    ------
    RecoveryError
        The brokers do not answer.
    StoreError
        A database is ahead of its changelog: that is not the one that it was written with.
    """
    if not persisted:
        # a member without partitions; aiokafka cannot stop what it has only just started
        # (``NoGroupCoordinator.close`` awaits a task that was cancelled before it ran)
        return
    consumer = AIOKafkaConsumer(
        **options,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
    )
    try:
        await consumer.start()
        ends = await _seek(consumer, topic, persisted)
        reached = {tp: _before(persisted[tp.partition]) for tp in ends}
        ahead = {tp: end - await consumer.position(tp) for tp, end in ends.items()}
        left = {tp for tp, records in ahead.items() if records > 0}
        progress(0, sum(ahead[tp] for tp in left))
        while left:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            for tp, records in fetched.items():
                changes = {one.key: one.value for one in records if one.key is not None}
                reached[tp] = records[-1].offset
                # not in a thread: a rebalance may close the database while this waits
                apply(tp.partition, changes, reached[tp])
                ahead[tp] = ends[tp] - reached[tp] - 1
                progress(len(records), sum(max(0, ahead[one]) for one in left))
            for tp in [tp for tp in left if await consumer.position(tp) >= ends[tp]]:
                left.remove(tp)
                consumer.pause(tp)
        for tp, end in ends.items():
            if reached[tp] < end - 1:  # compaction has removed the last records
                apply(tp.partition, {}, end - 1)
        progress(0, 0)
    except KafkaError as error:
        raise RecoveryError(
            f"{topic} cannot be read: {error!r}; see that brokers are up"
        ) from error
    finally:
        await consumer.stop()


async def _seek(
    consumer: AIOKafkaConsumer, topic: str, persisted: Mapping[int, int | None]
) -> dict[TopicPartition, int]:
    """Go to where each database is; give the ends of the partitions."""
    places = {TopicPartition(topic, number): offset for number, offset in persisted.items()}
    consumer.assign(list(places))
    first = await consumer.beginning_offsets(list(places))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(places))
    for tp, offset in places.items():
        if offset is not None and offset >= ends[tp]:
            raise StoreError(
                f"the database of {topic}[{tp.partition}] holds offset {offset}, and the changelog "
                f"ends before {ends[tp]}: the topic was made anew, or brokers lost records. If the "
                "topic is right, stop the worker and remove the partition's directory; it is "
                "restored from the changelog. If it is not, the database is the only copy: keep it."
            )
        if offset is not None and offset + 1 < first[tp]:
            raise StoreError(
                f"the database of {topic}[{tp.partition}] holds offset {offset}, and the changelog "
                f"begins at {first[tp]}: records between were removed, which compaction never "
                "does. See that the topic's cleanup.policy is compact; then remove the partition's "
                "directory, and it is restored from what the changelog has."
            )
        consumer.seek(tp, first[tp] if offset is None else offset + 1)
    return ends


def _before(offset: int | None) -> int:
    return -1 if offset is None else offset
