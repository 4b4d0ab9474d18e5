"""Offsets of the changelog that are not ours."""

import pytest

from ampelstream.runtime.faust.foreign import foreign_offsets


@pytest.mark.parametrize(
    ("before", "ours", "foreign"),
    [
        (-1, [0], []),
        (-1, [0, 1, 2], []),
        (9, [10, 11], []),
        (9, [11, 12], [10]),
        (9, [10, 13], [11, 12]),
        (-1, [2], [0, 1]),
    ],
)
def test_what_lies_between_our_writes(before: int, ours: list[int], foreign: list[int]) -> None:
    assert foreign_offsets(before, ours) == foreign
