"""An object is matched, mapped and shown at one and the same position."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ampelstream.core.events import CELL_BITS
from ampelstream.core.state import keys
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.lightcurve import Datapoint
from ampelstream.sky.healpix import pixel29
from ampelstream.topology import Topology

T0 = 2460000.0
INSIDE, OUTSIDE = (40.0, 0.0), (80.0, 10.0)
"""In the region of the event of `make_notice`, and far from it."""


def history(place: tuple[float, float], count: int, first: int = 100) -> tuple[Datapoint, ...]:
    """Detections of nights before the trigger, at one place."""
    ra, dec = place
    return tuple(
        Datapoint(first + n, T0 - 5.0 + n, 1, mag=19.0, positive=True, ra=ra, dec=dec)
        for n in range(count)
    )


@pytest.fixture
def make_alert(make_detection: Callable[..., Any]) -> Callable[..., Any]:
    def make(place: tuple[float, float], *earlier: Datapoint, **more: Any) -> Any:
        made = make_detection(ra=place[0], dec=place[1], **more)
        return msgspec.structs.replace(made, datapoints=(*earlier, *made.datapoints))

    return make


def active(partition: Any) -> list[Candidate]:
    found = [one for state in partition.objects.store for one in state.candidates]
    return [one for one in found if one.status is CandidateStatus.ACTIVE]


def body(candidate: Candidate) -> dict[str, Any]:
    return dict(candidate.result("SkyMapProbability") or {})


def test_a_history_elsewhere_moves_no_alert_and_is_told(
    wide: Topology,
    make_partition: Callable[..., Any],
    make_alert: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(), make_alert(INSIDE, *history(OUTSIDE, 4)))
    [candidate] = active(partition)
    assert (candidate.ra, candidate.dec) == pytest.approx(INSIDE)
    assert candidate.strays == 4
    assert (candidate.scatter_arcsec or 0.0) > 30 * 3600
    assert (body(candidate)["ra"], body(candidate)["dec"]) == (candidate.ra, candidate.dec)
    assert body(candidate)["cumprob"] < 0.99


def test_an_alert_elsewhere_is_no_candidate_for_its_history(
    wide: Topology,
    make_partition: Callable[..., Any],
    make_alert: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(), make_alert(OUTSIDE, *history(INSIDE, 4)))
    assert active(partition) == []


def test_most_alerts_say_where_in_any_order(
    wide: Topology,
    make_partition: Callable[..., Any],
    make_alert: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    alerts = [
        make_alert(place, candid=n, jd=T0 + n, offset=n)
        for n, place in enumerate([INSIDE, OUTSIDE, INSIDE, OUTSIDE, INSIDE], 1)
    ]
    told: list[Any] = [make_notice(), *alerts]
    ends = []
    for seed in range(12):
        random.Random(seed).shuffle(told)  # noqa: S311  (a reproducible test, not a secret)
        partition = make_partition(wide)
        partition.take(*told)
        ends.append(active(partition))
        cells = [keys.split_cell(*one)[0] for one in partition.state.scan(b"x", b"y")]
        assert cells == ["ZTF01"]  # under one cell, whatever it was on the way
        cell = pixel29(ends[-1][0].ra or 0.0, ends[-1][0].dec or 0.0) >> CELL_BITS
        assert partition.state.get(keys.cell(cell, "ZTF01")) == keys.span(T0 + 1, T0 + 5)
    assert all(one == ends[0] for one in ends)
    [candidate] = ends[0]
    assert (candidate.ra, candidate.dec) == pytest.approx(INSIDE)
    assert candidate.strays == 2
    assert candidate.scatter_arcsec == pytest.approx(0.0, abs=1e-3)


def test_an_object_that_moves_out_of_the_region_is_withdrawn(
    wide: Topology,
    make_partition: Callable[..., Any],
    make_alert: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    partition = make_partition(wide)
    partition.take(make_notice(), make_alert(INSIDE, candid=1))
    assert len(active(partition)) == 1
    partition.take(make_alert(OUTSIDE, candid=2, jd=T0 + 2.0, offset=2))  # the later of two
    assert active(partition) == []


def test_all_events_and_channels_see_the_object_at_the_same_place(
    make_topology: Callable[[str], Topology],
    make_partition: Callable[..., Any],
    make_alert: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    topology = make_topology(
        "{name: two, version: 1, channels: {"
        "all: {region: 0.99, window: [0, 10], lightcurve: {before: 1}, units: [&u {unit: "
        "SkyMapProbability}]}, long: {region: 0.99, window: [0, 10], units: [*u]}}}"
    )
    partition = make_partition(topology)
    near = history((40.0001, 0.0), 3)
    partition.take(make_notice(), make_alert(INSIDE, *near, channels=("all", "long")))
    one, other = active(partition)
    assert one.channel != other.channel
    assert one.provenance.lightcurve_digest != other.provenance.lightcurve_digest
    assert (one.ra, one.dec, one.scatter_arcsec) == (other.ra, other.dec, other.scatter_arcsec)
    assert one.ra == pytest.approx(40.000075)
    assert body(one)["ra"] == body(other)["ra"] == one.ra


def test_an_alert_without_a_measured_source_is_where_it_says(
    wide: Topology,
    make_partition: Callable[..., Any],
    make_detection: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    limit = Datapoint(-1, T0 + 1.0, 1, limmag=22.0, own=True)
    alert = msgspec.structs.replace(make_detection(), datapoints=(limit,))
    partition = make_partition(wide)
    partition.take(make_notice(), alert)
    [candidate] = active(partition)
    assert (candidate.ra, candidate.dec) == pytest.approx(INSIDE)
    assert candidate.strays == 0
