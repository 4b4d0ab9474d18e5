"""Changelog records that somebody else wrote into a partition that is ours.

A worker that was thrown out of its group and does not know it yet may still write: Kafka fences
only transactions. Only the owner of a partition writes its changelog, so the owner sees it: its own
next offset does not follow its last one. Its database never took the foreign records, so it knows
the right values of their keys, and writes them again, behind.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ampelstream.errors import RecoveryError
from ampelstream.runtime.service.log import incident

__all__ = ["foreign_keys", "foreign_offsets"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 500


def foreign_offsets(before: int, ours: Collection[int]) -> list[int]:
    """Offsets behind ``before``, up to our last one, that are not ours.

    Parameters
    ----------
    before
        Last offset that our database holds.
    ours
        Offsets of what we wrote now; at least one.
    """
    first, last = before + 1, max(ours)
    if last - before == len(ours):
        return []
    mine = set(ours)
    return [offset for offset in range(first, last) if offset not in mine]


async def foreign_keys(
    options: Mapping[str, Any], topic: str, partition: int, offsets: Collection[int]
) -> set[bytes]:
    """Keys of these records; those that compaction has removed are missing, and need no mending.

    Raises
    ------
    RecoveryError
        The brokers do not answer.
    """
    place = TopicPartition(topic, partition)
    wanted, last = set(offsets), max(offsets)
    keys: set[bytes] = set()
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, min(offsets))
        while await consumer.position(place) <= last:
            for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                keys.update(one.key for one in records if one.offset in wanted and one.key)
    except KafkaError as error:
        raise RecoveryError(f"{topic} cannot be read: {error!r}; are the brokers up?") from error
    finally:
        await consumer.stop()
    incident(
        _LOG,
        logging.ERROR,
        "foreign",
        "records that we know nothing of stand where only we write, from another worker or a "
        "request that was repeated; their keys are written again",
        topic=topic,
        partition=partition,
        records=len(wanted),
        keys=len(keys),
    )
    return keys
