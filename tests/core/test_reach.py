"""An object that no event reaches is no candidate, and was none: it may be passed over."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ampelstream.model.candidate import CandidateStatus
from ampelstream.model.detection import Detection
from ampelstream.sky.healpix import pixel29
from ampelstream.topology import Topology

TWO = """
name: two
version: 1
channels:
  narrow: {region: 0.5, window: [0, 10], units: [{unit: SkyMapProbability}]}
  broad: {region: 0.95, window: [0, 10], units: [{unit: SkyMapProbability}]}
"""


def test_it_reaches_where_a_region_of_a_revision_does(
    make_topology: Callable[[str], Topology],
    make_partition: Callable[[Topology], Any],
    make_notice: Callable[..., bytes],
) -> None:
    partition = make_partition(make_topology(TWO))
    partition.take(make_notice(), make_notice("2023-02-25T01:00:00Z", "UPDATE", ra=60.0))
    event = partition.objects.events.get("SIM230225a")
    assert len(event.localisations) == 2
    rng = np.random.default_rng(5)
    found = set()
    for ra, dec in zip(rng.uniform(20, 80, 2000), rng.uniform(-20, 20, 2000), strict=True):
        pixel = pixel29(ra, dec)
        regions = [region for levels in event.localisations.values() for region in levels.values()]
        expected = any(pixel in region for region in regions)
        assert event.reaches([pixel]) == expected
        assert event.reaches([pixel29(200.0, 0.0), pixel]) == expected
        found.add(expected)
    assert found == {True, False}
    assert not event.reaches([])


def test_a_candidate_is_looked_at_where_its_event_reaches_it_no_longer(
    wide: Topology,
    make_partition: Callable[[Topology], Any],
    make_notice: Callable[..., bytes],
    make_detection: Callable[..., Detection],
) -> None:
    partition = make_partition(wide)
    [active] = partition.take(make_notice(), make_detection())
    assert active.status is CandidateStatus.ACTIVE
    # the alert's record with smaller coordinates says that it was elsewhere
    moved = make_detection(ra=220.0, offset=-1)
    event = partition.objects.events.get("SIM230225a")
    assert not event.reaches([pixel29(moved.ra, moved.dec)])
    [gone] = partition.take(moved)
    assert gone.status is CandidateStatus.REJECTED
    assert partition.objects.candidates() == []
