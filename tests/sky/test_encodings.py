import healpy as hp
import numpy as np
import pytest

from ampelstream.errors import SkyMapError
from ampelstream.sky.encodings import split_uniq


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
