"""Where to look closely: the parts of the sky that hold the 90 % region."""

from collections.abc import Sequence
from dataclasses import dataclass

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.report.model import ReportMap
from ampelstream.sky.healpix import ORDER

__all__ = ["Closeup", "find_closeups"]

_REACH_DEG = 22.0
_SMALLEST_DEG, _LARGEST_DEG = 0.5, 32.0
_AT_MOST = 3
_WORTH = 0.08
"""Probability below which a part of the sky gets no picture of its own."""


@dataclass(frozen=True, slots=True)
class Closeup:
    """One part of the sky.

    Attributes
    ----------
    ra, dec
        Its centre [deg, ICRS].
    half
        From the centre to each edge [deg].
    probability
        Of the source being in this part, as far as it is in the 90 % region.
    """

    ra: float
    dec: float
    half: float
    probability: float


def find_closeups(skymap: ReportMap) -> Sequence[Closeup]:
    """Cover the 90 % credible region with at most three views, the most probable first."""
    inside = skymap.level <= 0.9  # noqa: PLR2004  (the 90 % region)
    if not inside.any():
        inside = skymap.level == skymap.level.min()
    order = skymap.order[inside].astype(np.int64)
    vectors = _tile_centres(skymap.start29[inside], order)
    weight = skymap.density[inside] * (4 * np.pi / 12) / 4.0**order
    size = np.degrees(np.sqrt(np.pi / 3) / 2.0**order)
    found: list[Closeup] = []
    left = np.ones(weight.shape, dtype=bool)
    while left.any() and len(found) < _AT_MOST:
        # The first view is worth drawing whatever it holds.
        centre, reach = _group(vectors, weight, left)
        members = left & reach
        probability = float(weight[members].sum())
        if found and probability < _WORTH:
            break
        found.append(_view(centre, vectors[members], size[members], probability))
        left &= ~members
    return found


def _tile_centres(start29: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit vectors of the centres of tiles, shape (n, 3)."""
    pixel = start29 >> 2 * (ORDER - order)
    return np.stack(hp.pix2vec(hp.order2nside(order), pixel, nest=True), axis=-1)


def _group(
    vectors: NDArray[np.float64], weight: NDArray[np.float64], left: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centre, and tiles around it: the heaviest tile's neighbourhood, moved to its own middle."""
    densest = np.argmax(np.where(left, weight, -1.0))
    centre = vectors[densest]
    reach = vectors @ centre >= np.cos(np.radians(_REACH_DEG))
    for _ in range(4):
        members = left & reach
        mean = (vectors[members] * weight[members, None]).sum(axis=0)
        length = float(np.linalg.norm(mean))
        if length == 0:
            break
        moved = vectors @ (mean / length) >= np.cos(np.radians(_REACH_DEG))
        if not (left & moved).any():
            break
        centre, reach = mean / length, moved
    return centre, reach


def _view(
    centre: NDArray[np.float64],
    vectors: NDArray[np.float64],
    size: NDArray[np.float64],
    probability: float,
) -> Closeup:
    """Just large enough for all members, with a margin."""
    away = np.degrees(np.arccos(np.clip(vectors @ centre, -1.0, 1.0)))
    half = float(np.clip(1.12 * (away + size).max() + 0.1, _SMALLEST_DEG, _LARGEST_DEG))
    return Closeup(
        ra=float(np.degrees(np.arctan2(centre[1], centre[0])) % 360.0),
        dec=float(np.degrees(np.arcsin(np.clip(centre[2], -1.0, 1.0)))),
        half=half,
        probability=probability,
    )
