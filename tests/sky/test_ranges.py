import numpy as np

from ampelstream.sky.ranges import merge


def test_touching_ranges_are_joined() -> None:
    merged = merge(np.array([0, 4, 9, 12]), np.array([4, 8, 12, 16]))
    assert merged.tolist() == [[0, 8], [9, 16]]


def test_one_and_none() -> None:
    assert merge(np.array([3]), np.array([5])).tolist() == [[3, 5]]
    assert merge(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).shape == (0, 2)
