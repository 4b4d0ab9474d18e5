"""What was fetched and is not worked on yet: where the consumer and the agent's loop meet.

Faust hands each record to an agent as a message, an event and an item of a stream, and counts its
acknowledgement. Here what one fetch brought for a partition stays the list that it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faust.types import TP

__all__ = ["Chunk", "Inbox"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in order.

    Attributes
    ----------
    tp
        Topic and partition.
    records
        At least one ``aiokafka.structs.ConsumerRecord``.
    """

    tp: TP
    records: Sequence[Any]

    @property
    def behind(self) -> int:
        """Offset behind the last record."""
        return int(self.records[-1].offset) + 1

    @property
    def size(self) -> int:
        """Of the values [byte]."""
        return sum(len(record.value or b"") for record in self.records)


class Inbox:
    """Records that wait, and how far the work is; used from one event loop.

    It is closed while partitions are moved or restored: nothing comes in or out then. What it held
    when it was closed is dropped, and read again, since every assignment begins at the committed
    offsets.

    Parameters
    ----------
    max_records, max_bytes
        When that much waits, nothing more is fetched; one fetch may go beyond.

    Attributes
    ----------
    in_hand
        Held while a batch is worked on.
    held
        Whether something was taken that is neither settled nor dropped.
    term
        Number of the time between two rebalances; grows with each opening.
    epoch
        Number of the last rewind, as the consumer's thread counts them: records that were fetched
        before it come again.
    settled
        For each partition, the offset behind the last record whose outputs and state are durable.
    room
        Set while more may be fetched.
    """

    def __init__(self, max_records: int = 2000, max_bytes: int = 64 << 20) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._waiting: dict[int, list[Chunk]] = {}
        self._count = self._bytes = 0
        self._wake = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.in_hand = asyncio.Lock()
        self.held = False
        self.is_open = False
        self.term = 0
        self.epoch = 0
        self.settled: dict[TP, int] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def waiting(self) -> int:
        """Records that were fetched and are not in hand yet."""
        return self._count

    @property
    def idle(self) -> bool:
        """Whether everything that came in is settled."""
        return not self._waiting and not self.held

    def put(self, chunk: Chunk) -> None:
        """Let records wait."""
        self._waiting.setdefault(chunk.tp.partition, []).append(chunk)
        self._account(len(chunk.records), chunk.size)
        self._wake.set()

    def take(self, limit: int, *, one_partition: bool) -> list[Chunk]:
        """Give records: of the partition number that has waited longest, or of all.

        Parameters
        ----------
        limit
            How many records at most.
        one_partition
            Whether only those of one partition number.
        """
        taken: list[Chunk] = []
        while self._waiting and limit > 0 and not (taken and one_partition):
            number = next(iter(self._waiting))
            rest = self._waiting.pop(number)
            while rest and limit > 0:
                chunk = rest.pop(0)
                if len(chunk.records) > limit:
                    rest.insert(0, Chunk(chunk.tp, chunk.records[limit:]))
                    chunk = Chunk(chunk.tp, chunk.records[:limit])
                limit -= len(chunk.records)
                taken.append(chunk)
                self._account(-len(chunk.records), -chunk.size)
            if rest:
                self._waiting[number] = rest  # now the last in turn
        self.held = bool(taken)
        return taken

    async def wait(self, seconds: float) -> None:
        """Wait until something comes in or changes, but not for longer [s]."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def settle(self, tp: TP, offset: int) -> None:
        """Note that everything before this offset is done with."""
        self.settled[tp] = offset

    def close(self) -> None:
        """Drop what waits, and take in nothing more."""
        self.is_open = False
        self._waiting.clear()
        self._count = self._bytes = 0
        self._account(0, 0)
        self._wake.set()

    def rewound(self, epoch: int) -> None:
        """Note that all partitions were set back to their committed offsets."""
        self._waiting.clear()
        self._count = self._bytes = 0
        self._account(0, 0)
        self.settled.clear()
        self.epoch = epoch

    def open(self) -> None:
        """Take in records, for a new term."""
        self.term += 1
        self.is_open = True
        self._wake.set()

    def _account(self, records: int, size: int) -> None:
        self._count += records
        self._bytes += size
        if self._count < self._max_records and self._bytes < self._max_bytes:
            self.room.set()
        else:
            self.room.clear()
