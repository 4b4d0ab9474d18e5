from collections.abc import Callable, Sequence

import pytest

from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.brightness import Luminosity
from ampelstream.report.lightcurveframe import Mark, Zoomed, mark_of, zoom

T0 = 2460324.45798
Make = Callable[..., Datapoint]


def zoomed(points: Sequence[Datapoint], *, trigger: bool = True) -> Zoomed:
    found = [mark_of(point, T0, Luminosity()) for point in points]
    return zoom([mark for mark in found if mark is not None], has_trigger=trigger)


def test_limits_of_the_months_before_do_not_squeeze_the_transient(
    detection: Make, limit: Make
) -> None:
    transient = [detection(0.5, 17.5), detection(2.5, 19.5)]
    limits = [limit(-day, 20.5) for day in range(3, 60, 3)]
    found = zoomed([*transient, *limits])
    assert -4.0 < found.frame.first < -3.0  # the last look before it
    assert 2.5 < found.frame.last < 3.0
    assert len(found.marks) == 3
    assert "Not drawn: 18 datapoints outside of the time shown." in found.remark


def test_a_limit_says_nothing_where_it_is_brighter_and_stands_at_the_edge_where_much_deeper(
    detection: Make, limit: Make
) -> None:
    points = [detection(1.0, 17.0), detection(2.0, 17.5), limit(-0.5, 15.0), limit(-1.0, 21.0)]
    found = zoomed(points)
    assert [mark.point.limmag for mark in found.marks if not mark.point.is_detection] == [21.0]
    assert found.frame.faint < 19.5
    assert "1 limit brighter than all detections" in found.remark
    assert "1 limit is deeper than drawn" in found.remark


def test_the_trigger_and_all_detections_are_shown(detection: Make) -> None:
    found = zoomed([detection(-40.0, 18.0), detection(9.0, 20.0, magerr=3.0)])
    assert found.frame.first < -40.0
    assert found.frame.last > 9.0
    assert found.frame.faint < 21.5  # an error of many magnitudes would squeeze everything else
    assert found.remark == ""
    late = zoomed([detection(8.0, 18.0), detection(9.0, 20.0)])
    assert late.frame.first < 0.0
    assert zoomed([detection(8.0, 18.0), detection(9.0, 20.0)], trigger=False).frame.first > 0.0


def test_negative_subtractions_have_no_brightness(detection: Make) -> None:
    mark = mark_of(detection(1.0, 14.0, positive=False), T0, Luminosity())
    assert mark is not None
    assert mark.negative
    found = zoomed([detection(1.0, 18.0), detection(1.1, 14.0, positive=False)])
    assert found.frame.bright > 17.0
    only = zoomed([detection(1.1, 14.0, positive=False)])
    assert len(only.marks) == 1
    assert only.frame.bright < only.frame.faint


@pytest.mark.parametrize("days", [[0.0], [5.0], [0.0, 0.0]])
def test_a_frame_always_has_a_length_and_a_height(detection: Make, days: list[float]) -> None:
    frame = zoomed([detection(day, 18.0, magerr=None) for day in days]).frame
    assert frame.last - frame.first > 0.1
    assert frame.faint - frame.bright >= 0.5


def test_limits_alone_are_drawn(limit: Make) -> None:
    found = zoomed([limit(-1.0, 20.0), limit(-30.0, 21.0)])
    assert len(found.marks) == 2
    assert found.remark == ""


def test_what_cannot_be_drawn_is_no_mark(detection: Make) -> None:
    luminosity = Luminosity()
    assert mark_of(Datapoint(id=1, jd=T0, fid=1), T0, luminosity) is None
    assert mark_of(detection(1.0, float("nan")), T0, luminosity) is None
    made: Mark | None = mark_of(detection(1.0, 18.0, magerr=float("inf")), T0, luminosity)
    assert made is not None
    assert made.error == 0.0
