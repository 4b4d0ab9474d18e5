"""Results that are taken, and failures that are computed again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from ampelstream.core.matching import may_pass
from ampelstream.errors import PoolError, UnitError
from ampelstream.model.candidate import UnitResult
from ampelstream.topology import BoundUnit, Topology
from ampelstream.units import Inputs, ObjectUnit

from .conftest import T0, WIDE

LOST = PoolError("took longer than 30 s, and was ended")


class First(ObjectUnit):
    provides: ClassVar[str] = "first"


class User(ObjectUnit):
    provides: ClassVar[str] = "user"
    uses: ClassVar[tuple[str, ...]] = ("first",)


class Needer(ObjectUnit):
    provides: ClassVar[str] = "needer"
    needs: ClassVar[tuple[str, ...]] = ("first",)


class Machine:
    """Computes, or fails as it is told; counts how often it was asked for the first unit."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    def first(self, _inputs: Inputs) -> dict[str, Any]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {"computed": True}

    def topology(self, plain: Topology) -> Topology:
        def later(inputs: Inputs) -> dict[str, Any]:
            return {"had": inputs.first("first")}

        units: tuple[BoundUnit[Any], ...] = (
            BoundUnit("first", First(), "f", compute=self.first),
            BoundUnit("user", User(), "u", compute=later),
            BoundUnit("needer", Needer(), "n", compute=later),
        )
        channels = tuple(replace(one, units=units) for one in plain.channels)
        return replace(plain, channels=channels)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def made(
    machine: Machine, make_topology: Callable[[str], Topology], make_partition: Any
) -> tuple[Any, Topology]:
    """A partition, and another version of its topology."""
    other = make_topology(WIDE.replace("version: 1", "version: 2").replace("[0, 10]", "[0, 12]"))
    topology = make_topology(WIDE)
    return make_partition(machine.topology(topology)), machine.topology(other)


def said(partition: Any) -> list[tuple[Any, str]]:
    [candidate] = partition.objects.candidates()
    return [(one.body, one.error) for one in candidate.results]


def changed(partition: Any, topology: Topology) -> None:
    partition.commit()
    partition.topology = topology
    partition.reopen()
    partition.objects.advance()


HEALTHY = [
    ({"computed": True}, ""),
    ({"had": {"computed": True}}, ""),
    ({"had": {"computed": True}}, ""),
]
FAILED = [
    (None, f"PoolError: {LOST}"),
    ({"had": None}, ""),
    (None, "UnitError: needs first, but first gave no result"),
]


@pytest.mark.parametrize("error", [LOST, MemoryError(), OSError(5, "disk"), KeyError("defect")])
def test_a_changed_topology_computes_again_what_failed_for_a_passing_reason(
    error: Exception,
    made: tuple[Any, Topology],
    machine: Machine,
    make_detection: Any,
    make_notice: Any,
    make_partition: Any,
) -> None:
    """Also what later units made without it: all is as a replay gives."""
    partition, other = made
    machine.error = error
    partition.take(make_detection(), make_notice())
    assert [body for body, _ in said(partition)] == [body for body, _ in FAILED]
    machine.error = None
    changed(partition, other)
    fresh = make_partition(other)
    fresh.take(make_detection(), make_notice())
    assert said(partition) == said(fresh) == HEALTHY
    [ours], [theirs] = partition.objects.candidates(), fresh.objects.candidates()
    assert ours.results == theirs.results  # their digests, too


def test_a_new_revision_of_the_event_computes_it_again_and_gives_what_changed(
    made: tuple[Any, Topology], machine: Machine, make_detection: Any, make_notice: Any
) -> None:
    partition, _ = made
    machine.error = LOST
    partition.take(make_detection(), make_notice())
    assert said(partition) == FAILED
    machine.error = None
    given = partition.take(make_notice("2023-02-25T01:00:00Z", "UPDATE"))
    assert [one.results[0].body for one in given] == [{"computed": True}]
    assert said(partition) == HEALTHY
    asked = machine.asked
    partition.take(make_notice("2023-02-25T02:00:00Z", "UPDATE"))
    assert machine.asked == asked  # what has succeeded is taken


def test_what_fails_the_same_way_again_is_no_new_revision(
    made: tuple[Any, Topology], machine: Machine, make_detection: Any, make_notice: Any
) -> None:
    partition, _ = made
    machine.error = LOST
    partition.take(make_detection(), make_notice())
    [event] = partition.objects.events
    partition.objects._sweeps.begin(event.event_id, moved=False)
    assert partition.objects.advance() == []
    assert machine.asked == 2


def test_what_a_unit_says_of_its_input_stays(
    made: tuple[Any, Topology], machine: Machine, make_detection: Any, make_notice: Any
) -> None:
    partition, other = made
    machine.error = UnitError("no redshift")
    partition.take(make_detection(), make_notice())
    partition.take(make_notice("2023-02-25T01:00:00Z", "UPDATE"))
    changed(partition, other)
    assert machine.asked == 1
    assert said(partition)[0] == (None, "UnitError: no redshift")


def test_an_alert_beyond_the_time_range_does_not_wait_for_it_again(
    made: tuple[Any, Topology], machine: Machine, make_detection: Any, make_notice: Any
) -> None:
    """Alerts ask for all events around their object, most of them with unchanged input."""
    partition, _ = made
    machine.error = LOST
    partition.take(make_detection(), make_notice())
    late = make_detection(candid=2, jd=T0 + 200.0, offset=1)
    partition.take(late)
    assert machine.asked == 1


def test_a_failure_does_not_stand_before_the_result_of_the_same_input(
    made: tuple[Any, Topology], machine: Machine, make_detection: Any, make_notice: Any
) -> None:
    """The candidate of another event has the result; an alert lets both have it."""
    partition, _ = made
    names = ["SIM230225a", "SIM230225b"]
    for lost, name in zip((None, LOST), names, strict=True):
        machine.error = LOST
        partition.take(make_notice(event_id=name))
        if lost is None:
            partition.take(make_detection())  # lost for the first event
    machine.error = None
    partition.take(make_notice("2023-02-25T01:00:00Z", "UPDATE", event_id=names[0]))
    before = [one.results[0].error for one in partition.objects.candidates()]
    assert before == ["", f"PoolError: {LOST}"]
    partition.take(make_detection(candid=2, jd=T0 + 200.0, offset=1))
    assert [one.results[0].error for one in partition.objects.candidates()] == ["", ""]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        ("", False),
        ("UnitError: no detection", False),
        ("PoolError: took longer than 30 s, and was ended", True),
        ("MemoryError: no message", True),
        ("UnitErrorOfMine: UnitError: ", True),
    ],
)
def test_failures_are_told_apart_by_their_kind(error: str, *, passes: bool) -> None:
    body = None if error else {"z": 0.1}
    assert may_pass(UnitResult("one", "One", "1", "c", "i", body, error)) is passes
