"""Of each zero, which step took all."""

from collections.abc import Callable, Mapping

import pytest

from ampelstream.core.accounting import Accounting, CountKey
from ampelstream.core.census import EventCensus, Inside, RevisionCensus
from ampelstream.core.nothing import why_no_candidate, why_not_selected
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision
from ampelstream.topology import Topology

TEXT = """
name: t
version: 1
events: {where: properties.HasNS >= 0.5}
channels: {all: {region: 0.9, window: [0, 10]}}
"""


@pytest.fixture
def topology(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(TEXT)


def event(
    inside: Inside | None, why: str = "", kind: str = "PRELIMINARY", name: str = "S1"
) -> EventCensus:
    revision = EventRevision(name, kind, "2024-01-14T23:05:24Z", "digest", t0_jd=2460000.0)
    channels = {"all": inside or Inside()}
    where = Coordinates("n", 0, 0)
    row = RevisionCensus(revision, where, "", inside is not None, 5.0, 9.0, 0, 0, channels, why)
    return EventCensus(name, kind == "RETRACTION", (row,))


READ = {("received", "alerts"): 9, ("received", "notices"): 1}
ACCEPTED = READ | {("channel_accepted", "all"): 9}


@pytest.mark.parametrize(
    ("counts", "events", "why"),
    [
        ({}, [], "no alert was read"),
        (
            READ
            | {
                ("rejected", "all", "drb"): 4,
                ("rejected", "all", "where"): 2,
                ("channel_failed", "all"): 2,
            },
            [],
            (
                "none of 9 alerts passed: 4 rejected by drb, 2 rejected by where, "
                "a filter failed on 2, 1 could not be handled, or wait"
            ),
        ),
        (
            ACCEPTED | {("received", "notices"): 0},
            [],
            "9 alerts accepted, but no event is known: no notice was read",
        ),
        (ACCEPTED, [], "9 alerts accepted, but no event is known: no notice gave one"),
        (
            ACCEPTED,
            [event(None, "properties.HasNS is absent")],
            "0 of 1 events selected: properties.HasNS is absent",
        ),
        (
            ACCEPTED,
            [event(Inside())],
            (
                "none of 9 accepted alerts lies inside the region (90%) and the window "
                "(0 to 10 d) of an event"
            ),
        ),
        (
            ACCEPTED,
            [event(Inside(5, 3, {"Pre: history": 3}))],
            "3 objects inside, 3 rejected by Pre: history",
        ),
        (
            ACCEPTED,
            [event(Inside(5, 3))],
            "3 objects inside, and none became a candidate: see the dead letters",
        ),
    ],
)
def test_which_step_took_all(
    counts: Mapping[CountKey, int], events: list[EventCensus], why: str, topology: Topology
) -> None:
    assert why_no_candidate(topology.channels[0], Accounting(counts), events) == why


def test_events_that_are_not_selected_say_why_the_most_frequent_first() -> None:
    assert why_not_selected([]) == why_not_selected([event(Inside())]) == ""
    one = event(None, "far is 1, wanted far < 0.1")
    gone = event(None, "it is a retraction", "RETRACTION")
    assert why_not_selected([one, gone, one, event(Inside())]) == (
        "1 of 4 events selected: far is 1, wanted far < 0.1 (2); only its retraction is known (1)"
    )
