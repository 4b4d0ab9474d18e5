"""PredetectionFilter."""

import pytest

from ampelstream.errors import UnitError
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units import MatchInputs
from ampelstream.units.filters.predetection import PredetectionFilter


def judge(
    *points: Datapoint, t0: float | None = 2460325.5, tolerance: float = 0.0
) -> tuple[bool, str]:
    event = EventRevision("S1", "PRELIMINARY", "2024-01-15T00:00:00Z", "d", t0_jd=t0)
    inputs = MatchInputs(LightCurve("ZTF24a", points), event)
    verdict = PredetectionFilter(tolerance_days=tolerance).evaluate(inputs)
    return verdict.accept, verdict.reason


def point(jd: float, mag: float | None = 19.0, *, positive: bool = True) -> Datapoint:
    return Datapoint(id=int(jd * 1000), jd=jd, fid=1, mag=mag, positive=positive)


def test_rejects_what_was_there_before() -> None:
    assert judge(point(2460326.0)) == (True, "")
    assert judge(point(2460326.0), point(2460325.4)) == (False, "predetection")
    assert judge(point(2460325.4, positive=False)) == (False, "predetection")


def test_at_the_trigger_is_not_before_it() -> None:
    assert judge(point(2460325.5)) == (True, "")


def test_upper_limits_do_not_count() -> None:
    assert judge(point(2460320.0, mag=None), point(2460326.0)) == (True, "")
    assert judge() == (True, "")


def test_tolerance() -> None:
    assert judge(point(2460325.25), tolerance=0.25) == (True, "")
    assert judge(point(2460325.24), tolerance=0.25) == (False, "predetection")


def test_no_trigger_time() -> None:
    with pytest.raises(UnitError, match="no trigger time"):
        judge(point(2460326.0), t0=None)


def test_what_is_no_source_may_be_let_pass() -> None:
    good = Datapoint(id=1, jd=2460326.0, fid=1, mag=19.0, rb=0.9)
    for rb, expected in ((0.49, True), (0.5, False), (None, False)):
        early = Datapoint(id=2, jd=2460300.0, fid=1, mag=19.0, rb=rb)
        event = EventRevision("S1", "PRELIMINARY", "2024-01-15T00:00:00Z", "d", t0_jd=2460325.5)
        inputs = MatchInputs(LightCurve("7", [early, good]), event)
        assert PredetectionFilter(min_rb=0.5).evaluate(inputs).accept is expected
        assert not PredetectionFilter().evaluate(inputs).accept


def test_forced_photometry_does_not_count() -> None:
    early = Datapoint(id=1, jd=2460320.0, fid=1, mag=19.0, positive=True, forced=True)
    assert judge(early, point(2460326.0)) == (True, "")
