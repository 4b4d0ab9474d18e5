"""Merging of datapoints and superseding."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.core.lightcurves import light_curve, merge_datapoints
from ampelstream.model.lightcurve import Datapoint

times = st.sampled_from([2460000.5 + n for n in range(4)])
points = st.builds(
    Datapoint,
    id=st.integers(1, 12),
    jd=times,
    fid=st.sampled_from([1, 2]),
    mag=st.one_of(st.none(), st.sampled_from([18.0, 19.5])),
    drb=st.one_of(st.none(), st.just(0.9)),
    xpos=st.one_of(st.none(), st.sampled_from([10.0, 11.0, 500.0])),
    ypos=st.one_of(st.none(), st.just(20.0)),
    own=st.booleans(),
    forced=st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(points, max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same(
    given_points: list[Datapoint], dice: random.Random
) -> None:
    once = merge_datapoints((), given_points)
    shuffled = [*given_points, *given_points]
    dice.shuffle(shuffled)
    merged: tuple[Datapoint, ...] = ()
    for point in shuffled:
        merged = merge_datapoints(merged, [point])
    assert merged == once
    assert merge_datapoints(once, once) == once
    assert light_curve("a", merged).datapoints == light_curve("a", reversed(once)).datapoints


def test_own_detection_wins_over_history_entry() -> None:
    history = Datapoint(7, 2460000.5, 1, mag=18.0, own=False)
    own = Datapoint(7, 2460000.5, 1, mag=18.0, drb=0.99, own=True)
    assert merge_datapoints([history], [own]) == (own,)
    assert merge_datapoints([own], [history]) == (own,)


def test_later_processing_supersedes_the_same_exposure_and_place() -> None:
    first = Datapoint(100, 2460000.5, 1, mag=18.0, rcid=3, xpos=10.0, ypos=20.0)
    again = Datapoint(200, 2460000.5, 1, mag=18.1, rcid=3, xpos=10.4, ypos=20.1)
    assert light_curve("a", [first, again]).datapoints == (again,)


def test_another_place_band_or_time_is_another_datapoint() -> None:
    base = Datapoint(100, 2460000.5, 1, mag=18.0, rcid=3, xpos=10.0, ypos=20.0)
    place = Datapoint(101, 2460000.5, 1, mag=18.0, rcid=3, xpos=90.0, ypos=20.0)
    channel = Datapoint(102, 2460000.5, 1, mag=18.0, rcid=4, xpos=10.0, ypos=20.0)
    band = Datapoint(103, 2460000.5, 2, mag=18.0, rcid=3, xpos=10.0, ypos=20.0)
    time = Datapoint(104, 2460000.6, 1, mag=18.0, rcid=3, xpos=10.0, ypos=20.0)
    assert len(light_curve("a", [base, place, channel, band, time])) == 5


def test_detection_supersedes_upper_limit_of_the_same_exposure() -> None:
    limit = Datapoint(-9, 2460000.5, 1, limmag=20.0, rcid=3)
    found = Datapoint(100, 2460000.5, 1, mag=19.9, rcid=3, xpos=1.0, ypos=2.0)
    assert light_curve("a", [limit, found]).datapoints == (found,)


def test_forced_photometry_has_ids_of_its_own() -> None:
    source = Datapoint(7, 2460000.5, 1, mag=18.0, positive=True)
    forced = Datapoint(7, 2460000.5, 1, mag=18.1, positive=True, flux=1e4, forced=True)
    later = Datapoint(8, 2460000.5, 1, mag=18.2, positive=True, flux=9e3, forced=True)
    for given_points in ([source, forced], [forced, source]):
        merged = merge_datapoints(merge_datapoints((), given_points[:1]), given_points[1:])
        assert merged == (source, forced)
        curve = light_curve("a", merged)
        assert curve.datapoints == (source, forced)
        assert curve.detections == (source,)
        assert curve.brightness == (forced,)
    # what was processed last stands, among forced photometry only
    assert light_curve("a", [source, forced, later]).datapoints == (source, later)
