"""The check that offsets follow each other."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from faust.types import TP

from ampelstream.runtime.safefaust.continuity import Continuity
from ampelstream.runtime.safefaust.failures import LostRecords

HERE = TP("source", 0)


def watch(offsets: Sequence[int], committed: int | None, earliest: int | None) -> Continuity:
    async def first(_tp: TP) -> int | None:
        return earliest

    continuity = Continuity(lambda _tp: committed, first)

    async def check() -> None:
        for offset in offsets:
            await continuity.check(HERE, [offset])

    asyncio.run(check())
    return continuity


@pytest.mark.parametrize("committed", [None, 5])
def test_offsets_that_follow_each_other(committed: int | None) -> None:
    watch([5, 6, 7], committed, 0)


def test_without_a_committed_offset_any_beginning_is_right() -> None:
    watch([40, 41], None, 0)


def test_records_that_come_again_are_right() -> None:
    watch([5, 6, 7, 5, 6, 7, 8], 5, 0)


def test_after_records_that_came_again_none_may_be_missing() -> None:
    with pytest.raises(LostRecords, match="record 9 came where 8 was due"):
        watch([5, 6, 7, 5, 9], 5, 0)


@pytest.mark.parametrize("earliest", [0, 7, None])
def test_missing_record(earliest: int | None) -> None:
    with pytest.raises(LostRecords, match=r"source\[0\]: record 8 came where 7 was due"):
        watch([5, 6, 8], 5, earliest)


def test_missing_after_the_committed_offset() -> None:
    with pytest.raises(LostRecords, match="record 6 came where 5 was due"):
        watch([6], 5, 0)


def test_records_that_have_expired_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        watch([5, 9, 10], 5, 9)
    assert "records 6 to 8 of source[0] had expired" in caplog.text


def test_a_new_assignment_begins_anew() -> None:
    continuity = watch([5, 6], 5, 0)
    continuity.restart()
    asyncio.run(continuity.check(HERE, [5]))
    with pytest.raises(LostRecords):
        asyncio.run(continuity.check(HERE, [7]))


def test_a_whole_fetch_is_checked_as_its_records() -> None:
    continuity = watch([5, 6], 5, 0)
    asyncio.run(continuity.check(HERE, [7, 8, 9]))
    asyncio.run(continuity.check(HERE, [10]))
    for hole in ([12, 13], [11, 13], [11, 12, 14]):
        with pytest.raises(LostRecords):
            asyncio.run(continuity.check(HERE, hole))
