"""A fetch that was under way while its partitions were paused and rewound."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from ampelstream.runtime.faust.driver import _Thread

CHANGELOG, DETECTIONS = TP("changelog", 0), TP("detections", 0)


class Client:
    """As much of aiokafka's consumer as a fetch needs; a pause comes while the fetch waits."""

    _closed = False

    def __init__(self, active: set[TP]) -> None:
        self._fetcher = self
        self._subscriptions = SimpleNamespace(fetch_context=nullcontext)
        self.active = active
        self.seeks: list[tuple[TP, int]] = []

    async def fetched_records(self, partitions: set[TP], **_how: Any) -> dict[TP, list[Any]]:
        self.active.discard(CHANGELOG)  # the recovery is at its end
        found = {CHANGELOG: [7], DETECTIONS: [550, 551]}
        return {
            tp: [SimpleNamespace(offset=offset) for offset in offsets]
            for tp, offsets in found.items()
            if not partitions or tp in partitions  # aiokafka: an empty set is all of them
        }

    def seek(self, tp: TP, offset: int) -> None:
        self.seeks.append((tp, offset))


def fetch(active: set[TP], buffered: set[TP]) -> tuple[dict[TP, list[int]], list[tuple[TP, int]]]:
    thread: Any = _Thread.__new__(_Thread)
    thread.consumer = SimpleNamespace(flow_active=True, _buffered_partitions=buffered)
    client = Client(active)
    got = asyncio.run(thread._fetch_records(client, active, timeout=1.0, max_records=500))
    return {tp: [one.offset for one in found] for tp, found in got.items()}, client.seeks


def test_records_of_partitions_that_are_not_read_are_put_back() -> None:
    got, seeks = fetch({CHANGELOG}, set())
    assert got == {}
    assert sorted(seeks) == [(CHANGELOG, 7), (DETECTIONS, 550)]


def test_records_of_partitions_that_are_read_or_only_wait_for_room_are_kept() -> None:
    got, seeks = fetch({CHANGELOG, DETECTIONS}, set())
    assert got == {DETECTIONS: [550, 551]}
    assert seeks == []
    got, seeks = fetch({CHANGELOG}, {DETECTIONS})
    assert got == {DETECTIONS: [550, 551]}
    assert seeks == [(CHANGELOG, 7)]
