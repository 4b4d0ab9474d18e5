import healpy as hp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.errors import SkyMapError
from ampelstream.sky.encodings import fold, split_uniq


def test_nuniq_numbers_are_taken_apart() -> None:
    rng = np.random.default_rng(4)
    for order in range(30):
        pixels = np.unique(rng.integers(0, hp.order2npix(order), 50))
        uniq = 4 * hp.order2nside(order) ** 2 + pixels
        rng.shuffle(uniq)
        start, orders, rows = split_uniq(uniq, "map")
        assert orders.tolist() == [order] * len(pixels)
        assert np.array_equal(start >> 2 * (29 - order), pixels)
        assert np.array_equal(uniq[rows], np.sort(uniq))


@pytest.mark.parametrize("order", range(30))
def test_first_and_last_pixel_of_each_order(order: int) -> None:
    # a double would round the last one of order 29 up to the next order
    uniq = np.array([4 * 4**order, 16 * 4**order - 1])
    start, orders, _ = split_uniq(uniq, "map")
    assert orders.tolist() == [order, order]
    assert start.tolist() == [0, (12 * 4**order - 1) << 2 * (29 - order)]


@pytest.mark.parametrize("bad", [3, 0, -1, 16 * 4**29, 2**63 - 1])
def test_numbers_of_no_pixel_are_refused(bad: int) -> None:
    with pytest.raises(SkyMapError, match=rf"map night.fits: UNIQ {bad} in row 1 "):
        split_uniq(np.array([4, bad]), "night.fits")


@pytest.mark.parametrize("uniq", [[4, 4], [4, 16], [19, 4], [64, 5, 4]])
def test_overlapping_tiles_are_refused(uniq: list[int]) -> None:
    with pytest.raises(SkyMapError, match="lies upon another one"):
        split_uniq(np.array(uniq), "map")


@given(st.integers(0, 10**6), st.integers(0, 4))
@settings(deadline=None, max_examples=50)
def test_folding_loses_nothing(seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    # few values and a coarse pattern: families are equal at many orders
    first = np.repeat(rng.integers(0, 3, 12), 4**order).astype(float)
    second = rng.choice([0.0, 1.0], p=[0.98, 0.02], size=12 * 4**order)
    start, orders, rows = fold([first, second], order)
    count = 4 ** (order - orders.astype(np.int64))
    for column in (first, second):
        assert np.array_equal(np.repeat(column[rows], count), column)
    assert np.array_equal(start, np.append(0, np.cumsum(count)[:-1]) << 2 * (29 - order))


def test_equal_pixels_fold_to_the_twelve_base_pixels_and_no_further() -> None:
    start, orders, _ = fold([np.zeros(12 * 4**3)], 3)
    assert orders.tolist() == [0] * 12
    assert start.tolist() == [base << 58 for base in range(12)]


def test_a_family_folds_only_when_all_columns_agree() -> None:
    first, second = np.zeros(12 * 4), np.zeros(12 * 4)
    second[5] = 1.0
    _, orders, _ = fold([first, second], 1)
    assert orders.tolist() == [0, 1, 1, 1, 1, *[0] * 10]


def test_nan_is_equal_to_nothing() -> None:
    _, orders, _ = fold([np.full(12 * 4, np.nan)], 1)
    assert orders.tolist() == [1] * 48


def test_ring_to_nested_at_nside_1_and_2() -> None:
    # at nside 1 the schemes agree
    _, _, rows = fold([np.arange(12)], 0, ring=True)
    assert rows.tolist() == list(range(12))
    # at nside 2 the four pixels around the north pole are the last of their base pixels
    _, _, rows = fold([np.arange(48)], 1, ring=True)
    assert rows[[3, 7, 11, 15]].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [0, 1, 4, 10])
def test_ring_rows_are_healpys(order: int) -> None:
    # at order 10 the pixels are converted in several parts
    columns = [np.arange(hp.order2npix(order))]
    _, _, rows = fold(columns, order, ring=True)
    assert np.array_equal(rows, hp.nest2ring(1 << order, columns[0]))
