"""Fields, channels, times and identifiers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.simulate.survey import (
    DAYS_AFTER,
    DAYS_BEFORE,
    PIXELS,
    T0_JD,
    Exposure,
    Survey,
    spot,
)


def test_trigger_time_is_that_of_gw170817() -> None:
    # 12:41:04.4 UTC is 0.52852 of the day that began at MJD 57982
    assert abs(T0_JD - 2400000.5 - 57982.52852) < 1e-5


@settings(deadline=None)
@given(ra=st.floats(0.0, 360.0), dec=st.floats(-90.0, 90.0))
def test_every_position_is_on_the_detector(ra: float, dec: float) -> None:
    there = spot(ra, dec)
    assert 0 <= there.field < 1000
    assert 0 <= there.rcid < 64
    assert 0.0 <= there.xpos <= PIXELS[0]
    # the northernmost strip reaches beyond the pole
    assert 0.0 <= there.ypos <= PIXELS[1] + 1


def test_identifiers_are_built_as_ztf_builds_them() -> None:
    # ZTF21abiuvdk, candid 1652462880815015008: its jd, rcid, nid and pid
    exposure = Exposure(2459406.9628819, 2, 20.4)
    assert exposure.nid == 1652
    assert exposure.pid(8) == 1652462880815


def test_fields_are_visited_through_the_whole_time_in_order() -> None:
    survey = Survey(7)
    for field in (3, 200, 841):
        planned = survey.exposures(field)
        times = [one.jd for one in planned]
        assert times == sorted(times)
        assert 14 <= len(times) <= 60
        assert {one.fid for one in planned} >= {1, 2}
        assert T0_JD - DAYS_BEFORE - 2 < times[0] < T0_JD - DAYS_BEFORE + 4
        assert T0_JD + DAYS_AFTER - 5 < times[-1] < T0_JD + DAYS_AFTER + 1
        assert survey.after(field, times[3]) == planned[4:]


def test_same_seed_same_plan() -> None:
    assert Survey(1).exposures(100) == Survey(1).exposures(100)
    assert Survey(1).exposures(100) != Survey(2).exposures(100)
