import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.sky.flat import fold


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
