"""Loss paths L1 to L3, and records that cannot be read, with plain agents: stock and ours."""

from collections.abc import Sequence
from typing import Any

import pytest

pytestmark = pytest.mark.slow
RECORDS = 8


def numbers(count: int) -> list[tuple[bytes | None, bytes]]:
    return [(None, str(number).encode()) for number in range(count)]


def missing(done: Sequence[int], first: int, committed: int) -> list[int]:
    return sorted(set(range(first, committed)) - set(done))


def test_l1_source_records_skipped_by_a_recovery(lab: Any) -> None:
    """Stock lets the source flow before it rewinds, and commits what it then drops.

    The race is driven, in both variants alike: the rewind waits until 40 records of the source are
    delivered, or two seconds, and the next record waits for the rewind. Stock has records in the
    queue of its agent then, clears it, and takes what was in it for a hole of compaction. Left to
    chance, stock loses in some runs, and in others its commits stop for good.
    """
    records, first = 250, 10
    for variant in ("stock", "ours"):
        lab.name = f"{lab.name}-{variant}"
        lab.create(lab.source)
        lab.create(lab.changelog("seen"), cleanup_policy="compact")
        lab.put(lab.source, numbers(records))
        lab.put(lab.changelog("seen"), [(b'"a"', b"1"), (b'"b"', b"2")])
        lab.commit(first)
        result = lab.play("agents.rebalance", variant, records=records)
        committed, lost = lab.committed(), missing(result["done"], first, lab.committed())
        if variant == "stock":
            assert committed == records
            assert lost
        else:
            assert (committed, lost, result["crash"]) == (records, [], None)


@pytest.mark.parametrize("variant", ["stock", "ours"])
def test_l2_exception_acknowledges_the_record(lab: Any, variant: str) -> None:
    """Stock goes on behind the record; ours ends before it, and the next start has it again."""
    lab.create(lab.source)
    lab.put(lab.source, numbers(RECORDS))
    result = lab.play("agents.exception", variant, poison=3, records=RECORDS)
    if variant == "stock":
        assert lab.committed() == RECORDS
        assert missing(result["done"], 0, RECORDS) == [3]
        return
    assert lab.committed() == 3
    assert result["done"] == [0, 1, 2]
    assert "ValueError" in result["crash"]
    again = lab.play("agents.exception", variant, poison=None, records=RECORDS)
    assert (lab.committed(), again["done"]) == (RECORDS, [3, 4, 5, 6, 7])


@pytest.mark.parametrize("variant", ["stock", "ours"])
def test_l3_commit_past_a_record_in_work(lab: Any, variant: str) -> None:
    """The process is killed while record 3 is in work and all others are done."""
    lab.create(lab.source)
    lab.put(lab.source, numbers(RECORDS))
    result = lab.play("agents.in_flight", variant, slow=3, seconds=6)
    assert result["done"] == [0, 1, 2, 4, 5, 6, 7]
    assert lab.committed() == (RECORDS if variant == "stock" else 3)
    again = lab.play("agents.in_flight", variant, slow=None, seconds=4)
    assert again["done"] == ([] if variant == "stock" else [3, 4, 5, 6, 7])


def test_unreadable_record_is_acknowledged_by_stock(lab: Any) -> None:
    lab.create(lab.source)
    lab.put(lab.source, [*numbers(3), (None, b"\xff not a number"), *numbers(2)])
    result = lab.play("agents.poison", "stock", bury="ours", records=6)
    assert (lab.committed(), result["buried"]) == (6, [])


def test_unreadable_record_is_buried_by_ours(lab: Any) -> None:
    lab.create(lab.source)
    lab.put(lab.source, [*numbers(3), (None, b"\xff not a number"), *numbers(2)])
    result = lab.play("agents.poison", "ours", bury="ours", records=6)
    assert (lab.committed(), result["buried"], result["done"]) == (6, [3], [0, 1, 2, 0, 1])
    assert result["crash"] is None


@pytest.mark.parametrize("bury", ["fails", "nobody"])
def test_unreadable_record_that_nobody_buries_is_not_committed(lab: Any, bury: str) -> None:
    lab.create(lab.source)
    lab.put(lab.source, [*numbers(3), (None, b"\xff not a number"), *numbers(2)])
    result = lab.play("agents.poison", "ours", bury=bury, records=6)
    assert lab.committed() <= 3
    assert result["crash"] is not None
