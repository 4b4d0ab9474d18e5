"""Channels that follow no events: every object with an alert that passes is a candidate."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.objects import Objects
from ampelstream.core.ownership import Word
from ampelstream.errors import ConfigError
from ampelstream.model.announcement import Tick
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.topology import Topology

from .conftest import T0, Partition

ALONE = """
name: watch
version: 1
channels:
  all: {follow: none, units: [{unit: RiseDecline}], rank_by: RiseDecline.peak_mag}
"""
BOTH = """
name: watch
version: 1
channels:
  all: {follow: none, units: [{unit: RiseDecline}]}
  near: {region: 0.99, window: [0, 10], units: [{unit: RiseDecline}]}
"""
EVENTS = BOTH.replace("follow: none, ", "region: 0.99, window: [0, 10], ")


@pytest.fixture
def alone(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(ALONE)


def test_an_alert_makes_a_candidate_without_an_event(
    alone: Topology, make_detection: Callable[..., Any]
) -> None:
    partition = Partition(alone)
    [candidate] = partition.take(make_detection())
    assert candidate.key == ("", "ZTF01", "all")
    assert candidate.status is CandidateStatus.ACTIVE
    assert candidate.t0_jd is None
    assert (candidate.ra, candidate.dec) == pytest.approx((40.0, 0.0))
    assert candidate.rank == 19.0
    assert candidate.provenance.event_revision == candidate.provenance.event_digest == ""
    assert [one.offset for one in candidate.provenance.records] == [0]
    assert len(candidate.lightcurve) == 1
    assert partition.objects.candidates() == [candidate]
    assert partition.take(make_detection()) == []  # it is known


def test_only_channels_that_accepted_it(
    make_topology: Callable[[str], Topology], make_detection: Callable[..., Any]
) -> None:
    partition = Partition(make_topology(BOTH))
    assert partition.take(make_detection(channels=("near",))) == []


def test_any_order_gives_the_same(
    make_topology: Callable[[str], Topology],
    make_detection: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    topology = make_topology(BOTH)
    channels = ("all", "near")
    things = [
        make_detection(channels=channels),
        make_detection(candid=2, jd=T0 + 2, offset=1, channels=channels),
        make_notice(),
    ]
    found = set()
    for order in itertools.permutations(things):
        partition = Partition(topology)
        partition.take(*order)
        found.add(msgspec.json.encode([_known(one) for one in partition.objects.candidates()]))
    assert len(found) == 1
    keys = [one["key"] for one in msgspec.json.decode(found.pop())]
    assert keys == [["", "ZTF01", "all"], ["SIM230225a", "ZTF01", "near"]]


def _known(candidate: Any) -> dict[str, Any]:
    """All but the coordinates of records, which are where a test put them."""
    provenance = msgspec.structs.replace(candidate.provenance, records=())
    plain = msgspec.structs.replace(candidate, provenance=provenance)
    return {"key": candidate.key, **msgspec.to_builtins(plain)}


def test_the_light_curve_goes_back_from_the_last_alert(
    make_topology: Callable[[str], Topology], make_detection: Callable[..., Any]
) -> None:
    text = ALONE.replace("follow: none,", "follow: none, lightcurve: {before: 5},")
    for topology, seen in ((make_topology(ALONE), 3), (make_topology(text), 2)):
        partition = Partition(topology)
        for candid, days in ((1, 1.0), (2, 10.0), (3, 14.0)):
            partition.take(make_detection(candid=candid, jd=T0 + days, offset=candid))
        [candidate] = partition.objects.candidates()
        assert len(candidate.lightcurve) == seen


def test_what_a_forgotten_object_was_stays_in_the_archive(
    alone: Topology, make_detection: Callable[..., Any]
) -> None:
    partition = Partition(alone)
    partition.take(make_detection())
    before = partition.objects.candidates()
    partition.take(Tick(T0 + 300.0, "alerts", 0, T0 + 301.0))
    assert partition.objects.store.get("ZTF01") is None
    assert partition.objects.candidates() == before


@pytest.mark.parametrize(("old", "new"), [(BOTH, EVENTS), (EVENTS, BOTH)], ids=["to", "from"])
def test_a_channel_changes_whether_it_follows_events(
    old: str,
    new: str,
    make_topology: Callable[[str], Topology],
    make_detection: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    partition = Partition(make_topology(old))
    things = [make_notice(), make_detection(channels=("all", "near"))]
    partition.take(*things)
    partition.state.commit()
    fresh = Partition(make_topology(new))
    fresh.take(*things)
    tally = Accounting().tally()
    objects = Objects(
        make_topology(new), partition.state, tally, lambda: 0.0, word=Word.FROM_NOW_ON
    )
    assert objects.pending
    values = [one.value for one in objects.advance()]
    said = {one.key: one for one in values if isinstance(one, Candidate)}
    gone = ("", "ZTF01", "all") if old == BOTH else ("SIM230225a", "ZTF01", "all")
    assert said[gone].status is CandidateStatus.REJECTED
    assert {one.key for one in objects.candidates()} == {
        one.key for one in fresh.objects.candidates()
    }


def test_without_a_change_nothing_is_swept(
    alone: Topology, make_detection: Callable[..., Any]
) -> None:
    partition = Partition(alone)
    partition.take(make_detection())
    partition.state.commit()
    partition.reopen()
    assert not partition.objects.pending


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("region: 0.9", "so that region would have no effect"),
        ("window: [0, 3]", "so that window would have no effect"),
        ("match: [{unit: PredetectionFilter}]", "so that match would have no effect"),
        ("lightcurve: {after: 3}", "so that lightcurve.after would have no effect"),
        ("units: [{unit: SkyMapProbability}]", "needs an event, and the channel follows none"),
    ],
)
def test_what_says_something_of_events_is_refused(
    text: str, says: str, make_topology: Callable[[str], Topology]
) -> None:
    with pytest.raises(ConfigError, match=r"(?s)follows? no") as refused:
        make_topology(f"name: a\nversion: 1\nchannels: {{one: {{follow: none, {text}}}}}\n")
    assert says in str(refused.value)
