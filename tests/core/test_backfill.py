"""What a backfill takes in, and what it leaves."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.objects import Objects
from ampelstream.core.ownership import Word
from ampelstream.model.announcement import Backfilled
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.streams import Record
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

from .conftest import T0, WIDE


@pytest.fixture
def changed(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(WIDE.replace("{region: 0.99", "{alerts: {where: rb > 0.5}, region: 0.99"))


def reopen(
    partition: Any, topology: Topology, since_jd: float | None = None, backfill: str = ""
) -> None:
    """The worker comes back with a changed file, whose backfill reaches back so far."""
    partition.commit()
    partition.topology = topology
    partition.state = Transaction(partition.backend)
    partition.objects = Objects(
        topology,
        partition.state,
        Accounting().tally(),
        lambda: 0.0,
        word=Word.BACKFILL,
        backfill=backfill or topology.filters,
        since_jd=since_jd,
    )
    partition.objects.advance()


def alerts(partition: Any) -> dict[str, list[int]]:
    return {one.object_id: [a.candid for a in one.alerts] for one in partition.objects.store}


def test_what_old_filters_accepted_last_is_not_taken_for_new(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)

    def by(topology: Topology, candid: int, *, backfill: bool = False) -> Any:
        one = make_detection(candid=candid, offset=candid)
        return msgspec.structs.replace(one, filters=topology.filters, backfill=backfill)

    partition.take(by(wide, 1))
    reopen(partition, changed)
    partition.take(by(wide, 2))  # was on its way when the filters changed
    partition.take(by(changed, 3), by(changed, 1, backfill=True))
    assert alerts(partition) == {"ZTF01": [1, 2, 3]}
    partition.take(Backfilled("of an earlier change"))
    assert alerts(partition) == {"ZTF01": [1, 2, 3]}
    partition.take(Backfilled(changed.filters))
    assert alerts(partition) == {"ZTF01": [1, 3]}
    assert not partition.objects.pending
    partition.take(Backfilled(changed.filters))  # by another worker that saw the end
    assert alerts(partition) == {"ZTF01": [1, 3]}


def test_alerts_that_could_not_be_read_again_stay(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any
) -> None:
    partition = make_partition(wide)
    for number, days in enumerate((1.0, 3.0, 5.0)):
        partition.take(
            make_detection("ZTF01", candid=number, jd=T0 + days, offset=number),
            make_detection(f"ZTF1{number}", candid=10 + number, jd=T0 + days, offset=10 + number),
        )
    reopen(partition, changed, T0 + 2.0)
    partition.take(Backfilled(changed.filters))
    assert alerts(partition) == {"ZTF01": [0], "ZTF10": [10]}


def test_an_object_that_is_left_with_nothing_is_withdrawn(
    wide: Topology, changed: Topology, make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(), make_detection())
    [candidate] = partition.objects.candidates()
    reopen(partition, changed)
    [gone] = partition.take(Backfilled(changed.filters))
    assert (gone.key, gone.status.value) == (candidate.key, "rejected")
    assert partition.objects.candidates() == []
    partition.commit()
    keys_left = {key[:1] for key, _ in partition.backend.scan(b"\x00", b"\xff")}
    assert keys_left == {b"e", b"m", b"v"}  # the event, its map, and whose state it is


def test_a_second_change_begins_the_backfill_anew(
    wide: Topology,
    changed: Topology,
    make_topology: Callable[[str], Topology],
    make_partition: Any,
    make_detection: Any,
) -> None:
    partition = make_partition(wide)
    partition.take(make_detection(candid=1))
    reopen(partition, changed)

    def read_again(topology: Topology, candid: int) -> None:
        one = make_detection(candid=candid, offset=candid)
        partition.take(msgspec.structs.replace(one, filters=topology.filters, backfill=True))

    read_again(changed, 1)
    last = make_topology(WIDE.replace("{region: 0.99", "{alerts: {where: rb > 0.9}, region: 0.99"))
    reopen(partition, last)
    assert partition.objects.awaits_backfill
    read_again(last, 2)
    partition.take(Backfilled(changed.filters), Backfilled(last.filters))
    assert alerts(partition) == {"ZTF01": [2]}


def test_a_failure_costs_only_its_object(
    wide: Topology,
    changed: Topology,
    make_partition: Any,
    make_detection: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partition = make_partition(wide)
    for number in range(3):
        partition.take(make_detection(f"ZTF{number}", candid=number, offset=number))
    reopen(partition, changed)
    store = partition.objects.store
    whole = type(store).refilter

    def broken(self: Any, object_id: str, *rest: Any) -> Any:
        if object_id == "ZTF1":
            raise RuntimeError("not this one")
        return whole(self, object_id, *rest)

    monkeypatch.setattr(type(store), "refilter", broken)
    where = Coordinates("memory", 0, 99)
    partition.objects.process([Record(where, "detections", Backfilled(changed.filters))])
    [letter] = [one.value for one in partition.objects.advance()]
    assert "ZTF1" in letter.reason
    assert alerts(partition) == {"ZTF1": [1]}
    assert not partition.objects.pending


@pytest.mark.parametrize("over", [False, True])
def test_a_backfill_after_a_topology_that_the_partition_never_saw(
    wide: Topology,
    changed: Topology,
    make_partition: Any,
    make_detection: Any,
    over: bool,  # noqa: FBT001  (a case)
) -> None:
    """Others went back meanwhile, and forward again, while this partition had no worker."""
    partition = make_partition(wide)
    partition.take(make_detection(candid=1))
    reopen(partition, changed, backfill="first")
    if over:
        partition.take(Backfilled("first"))

    def by(topology: Topology, candid: int, *, backfill: bool = False) -> Any:
        one = make_detection(candid=candid, offset=candid)
        return msgspec.structs.replace(one, filters=topology.filters, backfill=backfill)

    reopen(partition, changed, backfill="second")
    partition.take(by(wide, 2), by(changed, 3, backfill=True), Backfilled("first"))
    assert partition.objects.awaits_backfill
    partition.take(Backfilled("second"))
    assert alerts(partition) == {"ZTF01": [3]}
    reopen(partition, changed, backfill="second")
    assert not partition.objects.awaits_backfill
    assert alerts(partition) == {"ZTF01": [3]}
