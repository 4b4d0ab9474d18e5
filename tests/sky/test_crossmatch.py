import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.sky.crossmatch import Ranking
from ampelstream.sky.tiles import Tiles

WHOLE_SKY = 4 * np.pi * (180 / np.pi) ** 2


def base_pixels(*density: float) -> Tiles:
    n = len(density)
    return Tiles(np.arange(n) << 58, np.zeros(n, dtype=np.int8), np.array(density))


@given(st.lists(st.floats(0, 10), min_size=12, max_size=12).filter(lambda d: sum(d) > 1e-3))
@settings(deadline=None)
def test_levels_are_what_a_loop_finds(density: list[float]) -> None:
    ranking = Ranking(base_pixels(*density))
    for own, level in zip(density, ranking.level, strict=True):
        denser = sum(other for other in density if other >= own)
        assert level == pytest.approx(denser / sum(density), rel=1e-12)


@given(st.lists(st.floats(0, 10), min_size=12, max_size=12).filter(lambda d: sum(d) > 1e-3))
@settings(deadline=None)
def test_denser_means_lower(density: list[float]) -> None:
    tiles = base_pixels(*density)
    order = np.argsort(tiles.density)
    assert np.all(np.diff(Ranking(tiles).level[order]) <= 0)


def test_equal_densities_share_the_level_behind_them() -> None:
    level = Ranking(base_pixels(*[4.0], *[2.0] * 2, *[0.0] * 9)).level
    assert level.tolist() == [0.5, 1.0, 1.0, *[1.0] * 9]


def test_levels_do_not_depend_on_the_norm() -> None:
    one, ten = (Ranking(base_pixels(*np.arange(12.0) * norm)) for norm in (1.0, 10.0))
    assert one.level == pytest.approx(ten.level, rel=1e-12)
    assert ten.total == pytest.approx(10 * one.total)


def test_area_is_interpolated_from_nothing_to_all() -> None:
    ranking = Ranking(base_pixels(*[1.0] * 6, *[0.0] * 6))
    assert ranking.area(0.0) == 0.0
    assert ranking.area(0.5) == pytest.approx(WHOLE_SKY / 4)
    assert ranking.area(0.999999) == pytest.approx(WHOLE_SKY / 2, rel=1e-5)
    assert ranking.area(1.0) == pytest.approx(WHOLE_SKY)
