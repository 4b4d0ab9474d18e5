import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.errors import SkyMapError
from ampelstream.sky.tiles import Lookup, Tiles, falling, merge


def northern_tiles() -> Tiles:
    """The four northern base pixels, the first of them cut into quarters."""
    start = np.array([*(quarter << 56 for quarter in range(4)), 1 << 58, 2 << 58, 3 << 58])
    return Tiles(start, np.array([1] * 4 + [0] * 3, dtype=np.int8), np.ones(7))


@given(st.floats(0, 360), st.floats(-90, 90))
def test_the_tile_of_one_position_and_of_many(ra: float, dec: float) -> None:
    lookup = Lookup(northern_tiles())
    tile = lookup.tile(ra, dec)
    assert lookup.tiles([ra], [dec]).tolist() == [tile]
    if dec > 42:
        assert tile == {1: 4, 2: 5, 3: 6}.get(int(ra / 90), tile)
        assert tile >= 0
    if dec <= -1e-6:
        assert tile == -1


def test_no_position_has_no_tile() -> None:
    lookup = Lookup(northern_tiles())
    with pytest.raises(SkyMapError, match="no position"):
        lookup.tile(0.0, 91.0)
    with pytest.raises(SkyMapError, match="no position"):
        lookup.tiles([0.0, np.nan], 1.0)


def test_stops_and_areas() -> None:
    tiles = northern_tiles()
    assert np.array_equal(tiles.stop29()[:-1], tiles.start29[1:])
    assert tiles.area().sum() == pytest.approx(4 * np.pi / 3)


def test_touching_ranges_are_joined() -> None:
    merged = merge(np.array([0, 4, 9, 12]), np.array([4, 8, 12, 16]))
    assert merged.tolist() == [[0, 8], [9, 16]]


def test_one_and_none() -> None:
    assert merge(np.array([3]), np.array([5])).tolist() == [[3, 5]]
    assert merge(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).shape == (0, 2)


@given(
    st.lists(st.sampled_from([0.0, -0.0, 1e-300, 0.5, 1.0, 2.0, 1e300]), max_size=300),
    st.integers(0, 50),
)
def test_falling_is_a_stable_sort(values: list[float], distinct: int) -> None:
    rng = np.random.default_rng(len(values))
    column = np.append(np.array(values, dtype=float), rng.lognormal(size=distinct))
    rng.shuffle(column)
    assert falling(column).tolist() == np.argsort(-column, kind="stable").tolist()


def test_falling_of_many_equal_values() -> None:
    # so many that numpy's quick sort does not leave them as they are
    column = np.random.default_rng(0).integers(0, 7, 100_000) / 3
    assert np.array_equal(falling(column), np.argsort(-column, kind="stable"))
