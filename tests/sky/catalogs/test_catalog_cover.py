from math import asin, atan2, cos, degrees, pi, radians, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.errors import SkyMapError
from ampelstream.sky.catalogs.cover import cone_ranges
from ampelstream.sky.healpix import pixel29

WHOLE_SKY = [(0, 12 << 58)]
CORNERS = st.sampled_from([0.0, 41.8103148957786, -41.8103148957786, 90.0, -90.0, 89.9999999])
RAS = st.one_of(st.floats(0.0, 360.0), st.integers(0, 8).map(lambda n: n * 45.0))
DECS = st.one_of(st.floats(-90.0, 90.0), CORNERS)


def away(ra: float, dec: float, apart: float, angle: float) -> tuple[float, float]:
    """Position at a distance and position angle [deg] from another."""
    lat, far, turn = radians(dec), radians(apart), radians(angle)
    up = sin(lat) * cos(far) + cos(lat) * sin(far) * cos(turn)
    east = sin(turn) * sin(far) * cos(lat)
    ahead = cos(far) - sin(lat) * up
    return (ra + degrees(atan2(east, ahead))) % 360.0, degrees(asin(max(-1.0, min(1.0, up))))


@settings(deadline=None, max_examples=400)
@given(RAS, DECS, st.floats(-9.0, 2.2), st.floats(0.0, 1.0), st.floats(0.0, 360.0))
def test_every_point_of_the_cone_is_covered(
    ra: float, dec: float, log_radius: float, part: float, angle: float
) -> None:
    radius = 10.0**log_radius
    pixel = pixel29(*away(ra, dec, radius * part, angle))
    assert any(start <= pixel < end for start, end in cone_ranges(ra, dec, radius))


@settings(deadline=None, max_examples=200)
@given(RAS, DECS, st.sampled_from(range(1, 21)), st.floats(0.0, 360.0))
def test_the_widest_cone_of_each_order_is_covered(
    ra: float, dec: float, order: int, angle: float
) -> None:
    radius = degrees((pi / 3) ** 0.5 / 2 / 2**order) * (1 - 1e-12)
    ranges = cone_ranges(ra, dec, radius)
    assert ranges != WHOLE_SKY
    pixel = pixel29(*away(ra, dec, radius, angle))
    assert any(start <= pixel < end for start, end in ranges)


@settings(deadline=None, max_examples=100)
@given(RAS, DECS, st.floats(0.0, 10.0))
def test_ranges_are_sorted_apart_and_few(ra: float, dec: float, radius: float) -> None:
    ranges = cone_ranges(ra, dec, radius)
    assert 1 <= len(ranges) <= 9
    edges = [edge for one in ranges for edge in one]
    assert edges == sorted(set(edges))


def test_the_cover_is_small_compared_with_the_sky() -> None:
    # 9 cells of at most 4 radii: 144 square radii
    area = sum(end - start for start, end in cone_ranges(10.0, 20.0, 10 / 3600))
    assert area / (12 << 58) * 4 * pi < 144 * radians(10 / 3600) ** 2


def test_a_wide_cone_is_the_whole_sky() -> None:
    assert cone_ranges(10.0, 20.0, 15.0) == WHOLE_SKY
    assert cone_ranges(10.0, 20.0, 180.0) == WHOLE_SKY


def test_a_cone_without_width_still_has_cells() -> None:
    assert sum(end - start for start, end in cone_ranges(10.0, 20.0, 0.0)) == 9 << 18


def test_a_centre_off_the_sky_is_refused() -> None:
    with pytest.raises(SkyMapError):
        cone_ranges(10.0, 91.0, 1.0)
