"""Faust as it is loses records, in five ways; test_ours.py has the same faults with ours."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ampelstream.testing.broker.broker import Broker

pytestmark = [pytest.mark.slow, pytest.mark.full]
RECORDS = 8
TOO_SMALL = {"max_message_bytes": "2000"}


def numbers(count: int) -> list[tuple[bytes | None, bytes]]:
    return [(None, str(number).encode()) for number in range(count)]


def missing(done: Sequence[int], first: int, committed: int) -> list[int]:
    return sorted(set(range(first, committed)) - set(done))


def make_topics(lab: Any, **target_configs: str) -> None:
    lab.create(lab.source)
    lab.create(lab.changelog("state"), **target_configs)
    lab.create(lab.output, **target_configs)


def target(lab: Any, where: str) -> str:
    return str(lab.output if where == "output" else lab.changelog("state"))


def test_l1_source_records_skipped_by_a_recovery(lab: Any) -> None:
    """It lets the source flow before it rewinds, and commits what it then drops.

    The race is driven: the rewind waits until 40 records of the source are delivered, or two
    seconds, and the next record waits for the rewind. Records are in the queue of the agent then;
    it is cleared, and what was in it is taken for a hole of compaction. Left to chance, records are
    lost in some runs, and in others commits stop for good.
    """
    records, first = 250, 10
    lab.create(lab.source)
    lab.create(lab.changelog("state"), cleanup_policy="compact")
    lab.put(lab.source, numbers(records))
    lab.put(lab.changelog("state"), [(b'"a"', b"1"), (b'"b"', b"2")])
    lab.commit(first)
    result = lab.play("stock.rebalance", "stock", records=records)
    assert lab.committed() == records
    assert missing(result["done"], first, records)


def test_l2_exception_acknowledges_the_record(lab: Any) -> None:
    lab.create(lab.source)
    lab.put(lab.source, numbers(RECORDS))
    result = lab.play("stock.exception", "stock", poison=3, records=RECORDS)
    assert lab.committed() == RECORDS
    assert missing(result["done"], 0, RECORDS) == [3]


def test_l3_commit_past_a_record_in_work(lab: Any) -> None:
    """The process is killed while record 3 is in work and all others are done."""
    lab.create(lab.source)
    lab.put(lab.source, numbers(RECORDS))
    result = lab.play("stock.in_flight", "stock", slow=3, seconds=6)
    assert result["done"] == [0, 1, 2, 4, 5, 6, 7]
    assert lab.committed() == RECORDS
    assert lab.play("stock.in_flight", "stock", slow=None, seconds=4)["done"] == []


@pytest.mark.parametrize("where", ["changelog", "output"])
def test_l4_commit_after_a_refusal(lab: Any, where: str) -> None:
    """The topic takes no record of that size; there is a line in the log."""
    make_topics(lab, **TOO_SMALL)
    lab.put(lab.source, numbers(8))
    result = lab.play("stock.failing", "stock", where=where, records=8)
    assert lab.values(target(lab, where)) == []
    assert (lab.committed(), result["crash"]) == (8, None)


@pytest.mark.parametrize("where", ["changelog", "output"])
def test_l5_commit_before_all_is_sent(
    own_broker: Broker, make_lab: Callable[[str], Any], where: str
) -> None:
    """The broker is paused while 200 records are handled; the process dies right after a commit.

    What the client has taken is waited for, but not what waits before that.
    """
    lab = make_lab(own_broker.address)
    make_topics(lab)
    lab.put(lab.source, numbers(200))
    scenario = lab.begin("stock.slow", "stock", where=where, soon=True)
    assert scenario.line() == "fetched"
    own_broker.pause()
    scenario.go()
    with pytest.raises(TimeoutError):  # nothing is committed meanwhile
        scenario.wait(1.5)
    own_broker.resume()
    result = scenario.result()
    assert lab.committed() == result["committed"]
    assert result["unsent"] > 0
    assert len(lab.values(target(lab, where))) < result["committed"]
