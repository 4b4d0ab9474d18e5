"""Records that wait: their order, their bounds, and what a rebalance does to them."""

import asyncio
from types import SimpleNamespace

from faust.types import TP

from ampelstream.runtime.safefaust.inbox import Chunk, Inbox, parted
from ampelstream.runtime.safefaust.unreadable import unreadable

A0, B0, A1 = TP("a", 0), TP("b", 0), TP("a", 1)


def chunk(tp: TP, *offsets: int, size: int = 1) -> Chunk:
    return Chunk(tp, [SimpleNamespace(offset=offset, value=b"v" * size) for offset in offsets])


def taken(inbox: Inbox, limit: int = 500, *, one_partition: bool) -> list[tuple[TP, list[int]]]:
    chunks = inbox.take(limit, one_partition=one_partition)
    return [(one.tp, [record.offset for record in one.records]) for one in chunks]


def test_one_partition_number_at_a_time_and_in_order() -> None:
    inbox = Inbox()
    for one in (chunk(A0, 1, 2), chunk(A1, 5), chunk(B0, 7), chunk(A0, 3)):
        inbox.put(one)
    assert taken(inbox, one_partition=True) == [(A0, [1, 2]), (B0, [7]), (A0, [3])]
    assert taken(inbox, one_partition=True) == [(A1, [5])]
    assert taken(inbox, one_partition=True) == []


def test_a_record_that_stands_for_others() -> None:
    plain = chunk(A0, 1, 2, 5)
    assert (plain.behind, plain.offsets) == (6, [1, 2, 5])
    several = Chunk(A0, [*plain.records, unreadable("a", 0, 6, 9, "too much")])
    assert (several.behind, several.offsets) == (10, [1, 2, 5, 6, 7, 8, 9])
    assert several.size == 3


def test_all_partitions_together() -> None:
    inbox = Inbox()
    for one in (chunk(A0, 1, 2), chunk(A1, 5), chunk(A0, 3)):
        inbox.put(one)
    assert taken(inbox, one_partition=False) == [(A0, [1, 2]), (A0, [3]), (A1, [5])]


def test_what_is_left_of_a_partition_waits_behind_the_others() -> None:
    inbox = Inbox()
    inbox.put(chunk(A0, *range(5)))
    inbox.put(chunk(A1, 9))
    assert taken(inbox, 3, one_partition=True) == [(A0, [0, 1, 2])]
    assert taken(inbox, 3, one_partition=True) == [(A1, [9])]
    assert taken(inbox, 3, one_partition=True) == [(A0, [3, 4])]


def test_a_chunk_ends_behind_its_last_record() -> None:
    assert chunk(A0, 3, 9, 200).behind == 201  # compaction removed those between


def test_no_room_beyond_so_many_records_or_bytes() -> None:
    inbox = Inbox(max_records=3, max_bytes=100)
    inbox.put(chunk(A0, 1, 2))
    assert inbox.has_room(0, 1)
    inbox.put(chunk(A0, 1))
    assert not inbox.has_room(0, 1)
    taken(inbox, 1, one_partition=True)
    assert inbox.has_room(0, 1)
    inbox.put(chunk(A0, 2, size=100))
    assert not inbox.has_room(0, 1)
    inbox.close()
    assert inbox.has_room(0, 1)


def test_a_partition_that_takes_long_does_not_keep_others_out() -> None:
    inbox = Inbox(max_records=10, max_bytes=1000)
    inbox.put(chunk(A0, *range(100)))
    assert not inbox.has_room(0, 2)
    inbox.put(chunk(A1, 1, 2, 3, 4))
    assert inbox.has_room(1, 2)  # less than its share, which is five
    assert not inbox.has_room(1, 3)
    inbox.put(chunk(A0, 101, size=1500))
    assert inbox.has_room(1, 2)
    assert inbox.has_room(2, 3)  # nothing of it waits
    inbox.put(chunk(A0, 102, size=500))
    assert not inbox.has_room(2, 3)  # but memory has an end


def test_waiting_for_room_ends_when_something_is_taken() -> None:
    inbox = Inbox()
    inbox.put(chunk(A0, 1))
    inbox.room.clear()
    inbox.put(chunk(A1, 1))
    assert not inbox.room.is_set()
    taken(inbox, one_partition=True)
    assert inbox.room.is_set()


def test_what_is_put_back_comes_first_of_its_partition_and_last_of_all() -> None:
    inbox = Inbox()
    for one in (chunk(A0, 1, 2, 3), chunk(B0, 7)):
        inbox.put(one)
    first, rest = parted(inbox.take(500, one_partition=True), 2)
    assert [one.offset for part in first for one in part.records] == [1, 2]
    inbox.put(chunk(A1, 5))
    inbox.put(chunk(A0, 4))
    inbox.put_back(rest)
    assert taken(inbox, one_partition=True) == [(A1, [5])]
    assert taken(inbox, one_partition=True) == [(A0, [3]), (B0, [7]), (A0, [4])]
    assert inbox.empty


def test_idle_is_what_has_neither_waiting_records_nor_any_in_hand() -> None:
    inbox = Inbox()
    assert inbox.idle
    inbox.put(chunk(A0, 1))
    assert not inbox.idle
    taken(inbox, one_partition=True)
    assert not inbox.idle
    inbox.held = False
    assert inbox.idle


def test_a_rebalance_drops_what_waits_and_begins_a_new_term() -> None:
    inbox = Inbox()
    inbox.open()
    inbox.put(chunk(A0, 1))
    inbox.settle(A0, 1)
    inbox.close()
    assert (inbox.is_open, taken(inbox, one_partition=True)) == (False, [])
    assert inbox.settled == {A0: 1}  # to be committed before the partitions go
    inbox.rewound(2)
    inbox.open()
    assert (inbox.is_open, inbox.term, inbox.epoch, inbox.settled) == (True, 2, 2, {})


def test_waiting_ends_when_something_comes_in() -> None:
    inbox = Inbox()

    async def run() -> None:
        asyncio.get_running_loop().call_later(0.01, inbox.put, chunk(A0, 1))
        async with asyncio.timeout(5):
            await inbox.wait(60)
        await inbox.wait(0.01)  # and so does it after a while

    asyncio.run(run())
