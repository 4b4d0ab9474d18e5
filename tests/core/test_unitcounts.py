"""What units did, counted."""

import sys
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from ampelstream.core.unitcounts import UnitCounts, unit_counts
from ampelstream.topology import Topology
from ampelstream.units import ACCEPT, Inputs, MatchFilter, MatchInputs, ObjectUnit, Verdict


class Fails(ObjectUnit):
    """Never gives anything."""

    provides: ClassVar[str] = "fails"

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        curve = inputs.lightcurve
        raise ValueError(f"cannot do {curve.object_id} with {curve.detections[0].mag}")


class Needs(ObjectUnit):
    """Has nothing to go by."""

    provides: ClassVar[str] = "needs"
    needs: ClassVar[tuple[str, ...]] = ("fails",)

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        return {"had": inputs.first("fails")}


class Plain(ObjectUnit):
    """Gives something."""

    provides: ClassVar[str] = "plain"

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        return {"n": len(inputs.lightcurve)}


class Silent(MatchFilter):
    """Gives no verdict."""

    def evaluate(self, inputs: MatchInputs) -> Verdict:
        if inputs.event.kind != "gw":
            return ACCEPT
        return None  # type: ignore[return-value]  # (the mistake that is meant)


class Strict(MatchFilter):
    """Rejects all."""

    def evaluate(self, inputs: MatchInputs) -> Verdict:
        return Verdict(accept=inputs.event.kind != "gw", reason="too late")


TEXT = """
name: t
version: 1
channels:
  all:
    window: [0, 10]
    match: [MATCH]
    units: [{unit: "counting:Fails"}, {unit: "counting:Needs"}, {unit: "counting:Plain"}]
"""


@pytest.fixture
def make(
    make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Topology]:
    monkeypatch.setitem(sys.modules, "counting", sys.modules[__name__])
    return lambda match: make_topology(TEXT.replace("MATCH", match))


def test_runs_results_from_the_cache_and_failures(
    make: Callable[[str], Topology], make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    topology = make("")
    partition = make_partition(topology)
    partition.take(make_notice(), make_detection())
    partition.take(make_notice("2023-02-25T00:09:00Z"))  # nothing that a unit is given is new
    partition.take(make_detection("ZTF02", candid=2, ra=40.1))
    partition.commit()
    found = {one.unit: one for one in unit_counts(topology, partition.accounting)}
    # a sweep tries again what may have failed for a reason that has passed
    assert [(one.runs, one.cached) for one in found.values()] == [(3, 0), (2, 1), (2, 1)]
    assert [one.failed for one in found.values()] == [3, 2, 0]
    fails = found["Fails"]
    assert fails.kind == "unit"
    # each object is another word in the message, and not another cause
    said = "ValueError: cannot do the object with # (Fails.compute at test_unitcounts"
    assert fails.reason.startswith(said)
    assert found["Needs"].reason == "UnitError: needs fails, but Fails gave no result"
    assert [one.always_fails for one in found.values()] == [True, True, False]
    assert str(found["Plain"]) == "all/Plain: 2 runs, 1 results from the cache"
    assert str(fails).startswith("all/Fails: 3 runs, all failed, most often of ValueError: ")


def test_match_filters_are_counted_and_one_without_a_verdict_says_where(
    make: Callable[[str], Topology], make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    topology = make('{unit: "counting:Silent"}')
    partition = make_partition(topology)
    partition.take(make_notice(), make_detection())
    partition.commit()
    silent = next(unit_counts(topology, partition.accounting))
    assert (silent.unit, silent.kind, silent.runs, silent.failed) == ("Silent", "match", 1, 1)
    [candidate] = partition.objects.candidates()
    [error] = [one.error for one in candidate.results if one.name == "Silent"]
    assert error.startswith("UnitError: evaluate gave None, and must give a Verdict")
    assert "(Silent.evaluate at test_unitcounts.py:" in error


def test_the_census_names_the_filter_that_rejects(
    make: Callable[[str], Topology], make_partition: Any, make_detection: Any, make_notice: Any
) -> None:
    partition = make_partition(make('{unit: "counting:Strict", name: Late}'))
    partition.take(make_notice(), make_detection())
    [event] = partition.objects.censuses()
    assert event.revisions[0].channels["all"].rejected == {"Late: too late": 1}


def test_what_was_never_asked_does_not_always_fail() -> None:
    assert not UnitCounts("c", "u", "unit").always_fails
    assert not UnitCounts("c", "u", "unit", runs=2, failed=1).always_fails
    assert UnitCounts("c", "u", "unit", runs=2, failed=2).always_fails
