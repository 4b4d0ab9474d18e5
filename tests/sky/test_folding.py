import itertools
from collections.abc import Iterator

import healpy as hp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.errors import SkyMapError
from ampelstream.sky import folding
from ampelstream.sky.folding import Layout, Values, fold


@given(st.integers(0, 10**6), st.integers(0, 4))
@settings(deadline=None, max_examples=50)
def test_folding_loses_nothing(seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    # few values and a coarse pattern: families are equal at many orders
    first = np.repeat(rng.integers(0, 3, 12), 4**order).astype(float)
    second = rng.choice([0.0, 1.0], p=[0.98, 0.02], size=12 * 4**order)
    (start, orders, rows), values = fold([[first, second]], order, "map")
    count = 4 ** (order - orders.astype(np.int64))
    for column in (first, second):
        assert np.array_equal(np.repeat(column[rows], count), column)
    assert [one.tolist() for one in values] == [one[rows].tolist() for one in (first, second)]
    assert np.array_equal(start, np.append(0, np.cumsum(count)[:-1]) << 2 * (29 - order))


def test_equal_pixels_fold_to_the_twelve_base_pixels_and_no_further() -> None:
    (start, orders, _), _ = fold([[np.zeros(12 * 4**3)]], 3, "map")
    assert orders.tolist() == [0] * 12
    assert start.tolist() == [base << 58 for base in range(12)]


def test_a_family_folds_only_when_all_columns_agree() -> None:
    first, second = np.zeros(12 * 4), np.zeros(12 * 4)
    second[5] = 1.0
    (_, orders, _), _ = fold([[first, second]], 1, "map")
    assert orders.tolist() == [0, 1, 1, 1, 1, *[0] * 10]


def test_nan_is_equal_to_nothing() -> None:
    (_, orders, _), _ = fold([[np.full(12 * 4, np.nan)]], 1, "map")
    assert orders.tolist() == [1] * 48


def test_ring_to_nested_at_nside_1_and_2() -> None:
    # at nside 1 the schemes agree
    (_, _, rows), _ = fold([[np.arange(12)]], 0, "map", ring=True)
    assert rows.tolist() == list(range(12))
    # at nside 2 the four pixels around the north pole are the last of their base pixels
    (_, _, rows), _ = fold([[np.arange(48)]], 1, "map", ring=True)
    assert rows[[3, 7, 11, 15]].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [0, 1, 4, 9])
def test_ring_rows_are_healpys(order: int) -> None:
    # at order 9 the pixels are converted in several parts
    columns = [np.arange(hp.order2npix(order))]
    (_, _, rows), _ = fold([columns], order, "map", ring=True)
    assert np.array_equal(rows, hp.nest2ring(1 << order, columns[0]))


def at_once(columns: Values, order: int, *, ring: bool) -> tuple[Layout, Values]:
    """The same in the plainest way: all in memory, pixel by pixel."""
    pixels = np.arange(12 * 4**order)
    row = hp.nest2ring(1 << order, pixels) if ring else pixels
    kept: list[tuple[int, int, int]] = []
    level = {int(pixel): int(one) for pixel, one in zip(pixels, row, strict=True)}
    for now in range(order, -1, -1):
        coarser: dict[int, int] = {}
        for pixel, one in level.items():
            family = [level.get(pixel - pixel % 4 + child, -1) for child in range(4)]
            if now and min(family) >= 0 and all(len(set(c[family])) == 1 for c in columns):
                coarser[pixel // 4] = family[0]
            else:
                kept.append((pixel << 2 * (29 - now), now, one))
        level = coarser
    start, orders, rows = (np.array(one) for one in zip(*sorted(kept), strict=True))
    return Layout(start, orders, rows), [column[rows] for column in columns]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_part_by_part_is_as_at_once(data: st.DataObject) -> None:
    order = data.draw(st.integers(0, 4))
    ring = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    npix = 12 * 4**order
    coarse = np.repeat(rng.integers(0, 4, 12 * 4 ** (order // 2)), 4 ** (order - order // 2))
    columns = [coarse.astype(float), rng.choice([0.0, 1.0], p=[0.97, 0.03], size=npix)]
    if ring:
        columns = [one[hp.ring2nest(1 << order, np.arange(npix))] for one in columns]
    cuts = sorted({0, npix, *data.draw(st.lists(st.integers(0, npix), max_size=6))})
    slices = [[one[start:stop] for one in columns] for start, stop in itertools.pairwise(cuts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_ORDERS", data.draw(st.integers(0, 4)))
        patch.setattr(folding, "_RING_ORDERS", data.draw(st.integers(0, 4)))
        layout, values = fold(slices, order, "map", ring=ring)
    expected, theirs = at_once(columns, order, ring=ring)
    assert [one.tolist() for one in layout] == [one.tolist() for one in expected]
    assert [one.tolist() for one in values] == [one.tolist() for one in theirs]


@pytest.mark.parametrize("ring", [False, True])
def test_too_many_tiles_are_refused_before_all_is_read(
    monkeypatch: pytest.MonkeyPatch, *, ring: bool
) -> None:
    monkeypatch.setattr(folding, "MAX_TILES", 20_000)
    order, read = 8, 0

    def slices() -> Iterator[Values]:
        nonlocal read
        for first in range(0, 12 * 4**order, 4096):
            read += 4096
            yield [np.arange(first, first + 4096)]

    monkeypatch.setattr(folding, "_ORDERS", 5)
    with pytest.raises(SkyMapError, match=r"map big: it has more than 20000 tiles.*multi-order"):
        fold(slices(), order, "big", ring=ring)
    assert read < 100_000


@pytest.mark.parametrize("ring", [False, True])
def test_of_the_columns_only_a_belt_is_in_memory(*, ring: bool) -> None:
    order = 9
    window = folding._Window([np.zeros(4096)] for _ in range(12 * 4**order // 4096))
    most = 0
    for tops in folding._parts(order - 5, ring=ring):
        folding._values(window, tops, order, 5, ring=ring)
        most = max(most, len(window._values[0]))
    # 64 rings of 2048 pixels; or 1024 pixels, both to the end of their slice
    assert most <= (64 * 2048 if ring else 1024) + 4096
