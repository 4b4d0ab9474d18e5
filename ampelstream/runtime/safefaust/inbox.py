"""What was fetched and is not worked on yet: where the consumer and the agent's loop meet.

Faust hands each record to an agent as a message, an event and an item of a stream, and counts its
acknowledgement. Here what one fetch brought for a partition stays the list that it is.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from ampelstream.runtime.safefaust.unreadable import UnreadableRecord

__all__ = ["Chunk", "Inbox", "parted"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in order.

    Attributes
    ----------
    tp
        Topic and partition.
    records
        At least one ``aiokafka.structs.ConsumerRecord``; an `UnreadableRecord` stands for several.
    """

    tp: TP
    records: Sequence[Any]

    @property
    def behind(self) -> int:
        """Offset behind the last record."""
        last = self.records[-1]
        return int(last.last_offset if isinstance(last, UnreadableRecord) else last.offset) + 1

    @property
    def offsets(self) -> list[int]:
        """Of the records, those included that another one stands for."""
        if self.behind - self.records[0].offset == len(self.records):
            return [record.offset for record in self.records]
        spans = (
            range(one.offset, one.last_offset + 1)
            if isinstance(one, UnreadableRecord)
            else (one.offset,)
            for one in self.records
        )
        return [offset for span in spans for offset in span]

    @property
    def size(self) -> int:
        """Of the values [byte]."""
        return sum(len(record.value or b"") for record in self.records)


def parted(chunks: Sequence[Chunk], count: int) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks of the first records, and those of the others."""
    first: list[Chunk] = []
    rest: list[Chunk] = []
    for chunk in chunks:
        if count >= len(chunk.records):
            first.append(chunk)
        elif count > 0:
            first.append(Chunk(chunk.tp, chunk.records[:count]))
            rest.append(Chunk(chunk.tp, chunk.records[count:]))
        else:
            rest.append(chunk)
        count -= len(chunk.records)
    return first, rest


class Inbox:
    """Records that wait, and how far the work is; used from one event loop.

    It is closed while partitions are moved or restored: nothing comes in or out then. What it held
    when it was closed is dropped, and read again, since every assignment begins at the committed
    offsets.

    Parameters
    ----------
    max_records, max_bytes
        When that much waits, nothing more is fetched. Each partition has its share of it, so that
        one whose records take long does not keep those of others out; a fetch may go beyond.

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
        Set when there is room where there was none.
    """

    def __init__(self, max_records: int = 2000, max_bytes: int = 64 << 20) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._waiting: dict[int, list[Chunk]] = {}
        self._records: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._wake = asyncio.Event()
        self.room = asyncio.Event()
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
        return self._records.total()

    @property
    def idle(self) -> bool:
        """Whether everything that came in is settled."""
        return not self._waiting and not self.held

    def has_room(self, number: int, among: int) -> bool:
        """Whether more may be fetched for a partition number, among so many partitions.

        One of which nothing waits has room beyond its share, up to twice the bytes of all.
        """
        if number not in self._waiting:
            return self._bytes.total() < 2 * self._max_bytes
        within = self._records[number] * among < self._max_records
        return within and self._bytes[number] * among < self._max_bytes

    def put(self, chunk: Chunk) -> None:
        """Let records wait."""
        self._waiting.setdefault(chunk.tp.partition, []).append(chunk)
        self._account(chunk, 1)
        self._wake.set()

    def put_back(self, chunks: Sequence[Chunk]) -> None:
        """Let what was taken and not worked on wait again, before what came behind it.

        Its partitions are the last in turn now.
        """
        for chunk in reversed(chunks):
            number = chunk.tp.partition
            self._waiting[number] = [chunk, *self._waiting.pop(number, ())]
            self._account(chunk, 1)

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
            first, rest = parted(self._waiting.pop(number), limit)
            for chunk in first:
                limit -= len(chunk.records)
                self._account(chunk, -1)
            taken += first
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
        self._clear()
        self._wake.set()

    def rewound(self, epoch: int) -> None:
        """Note that all partitions were set back to their committed offsets."""
        self._clear()
        self.settled.clear()
        self.epoch = epoch

    def open(self) -> None:
        """Take in records, for a new term."""
        self.term += 1
        self.is_open = True
        self._wake.set()

    def _clear(self) -> None:
        self._waiting.clear()
        self._records.clear()
        self._bytes.clear()
        self.room.set()

    def _account(self, chunk: Chunk, sign: int) -> None:
        self._records[chunk.tp.partition] += sign * len(chunk.records)
        self._bytes[chunk.tp.partition] += sign * chunk.size
        if sign < 0:
            self.room.set()
