"""A sky map of error circles and ellipses: a 2-D Gaussian on the sphere, in tiles of mixed orders.

The distribution is a Gaussian in the plane of Lambert's azimuthal equal-area projection about the
centre: a point at an angle r from it lies 2 sin(r/2) from the origin. Of a circle that is exactly
the Fisher distribution of the sphere (Fisher 1953, Proc. R. Soc. A 217, 295) with
kappa = 1/sigma**2, of an ellipse its counterpart with two axes; small ones are the Gaussian of the
plane. As areas stay what they are, the smallest region of probability q has the solid angle
-2 pi sigma_1 sigma_2 ln(1 - q), at any size up to the whole sphere, where that sees little of the
antipode.

An error is made a sigma by its containment c: sigma = 2 sin(r/2) / sqrt(-2 ln(1 - c)), and where
the Gaussian reaches around the sphere by the distribution that is cut off there.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import healpy as hp
import numpy as np
from numpy.typing import NDArray

from ampelstream.errors import SkyMapError
from ampelstream.model.localisation import Ellipse
from ampelstream.sky.healpix import ORDER
from ampelstream.sky.tiles import Tiles

__all__ = ["FLOOR_ARCSEC", "tiles_of_ellipses"]

FLOOR_ARCSEC = 1.0
"""Smallest sigma: a map must hold the alerts of what it is the place of. Notices give positions to
four decimals of a degree (0.36 arcsec), and a survey's single position of a faint source is
uncertain by some tenths of an arcsecond, whatever the error of a telescope in space."""

_FINE = 6
"""Tiles per sigma at least, where the density matters: with 4, areas may be off by 1 %."""
_FINE_SIGMAS = 3.5
"""So far it does: 99.8 % lie within."""
_LAST_SIGMAS = 6.0
"""So far tiles are of the size of a sigma; behind it is less than 2e-8 of the probability."""
_MANY_TILES = 200_000
"""About as many tiles as there are at most: those of an ellipse that is more than 35 times as long
as wide are coarser than a sixth of its short sigma. A circle has some thousand."""
_LONGEST = 200.0
"""An ellipse that is narrower than that part of its length is taken as so wide: so the number of
tiles has an end."""
_FIRST_ORDER = 3
_POLE = 90.0
_SAMPLES_ORDER = 2
"""The density of a tile is the mean over 4**2 points in it."""
_FLAT = 50.0
"""Sigma in the plane of what is no more than the whole sphere, evenly."""


class _Gaussian(NamedTuple):
    """One ellipse: its frame (rows: towards the centre, first axis, second axis) and its sigmas."""

    frame: NDArray[np.float64]
    sigma: tuple[float, float]


def tiles_of_ellipses(ellipses: Sequence[Ellipse], name: str) -> Tiles:
    """Cut the sky into tiles, fine where it is probable.

    Parameters
    ----------
    ellipses
        At least one; where there are several, each has the same probability.
    name
        Of the map, for messages.

    Raises
    ------
    SkyMapError
        A centre is no position, an axis is not positive, or a containment is not between 0 and 1.
    """
    gaussians = [_gaussian(one, name) for one in ellipses]
    order, pixel = _cut(gaussians)
    density = np.mean([_mean_density(one, order, pixel) for one in gaussians], axis=0)
    start = pixel << 2 * (ORDER - order)
    along = np.argsort(start)
    start, order, density = start[along], order[along], density[along]
    area = math.pi / 3 / np.exp2(2.0 * order)
    # seven digits: the last ones of an exponential are not the same on every machine
    kept = (density / np.sum(density * area)).astype(np.float32).astype(np.float64)
    return Tiles(start, order.astype(np.int8), kept)


def _gaussian(one: Ellipse, name: str) -> _Gaussian:
    axes = (one.semi_major, one.semi_minor)
    if not (abs(one.dec) <= _POLE and math.isfinite(one.ra) and math.isfinite(one.angle)):
        raise SkyMapError(f"{name}: ra={one.ra}, dec={one.dec} is no position on the sky")
    if not (all(0 < axis < math.inf for axis in axes) and 0 < one.containment < 1):
        raise SkyMapError(
            f"{name}: an error of {axes[0]} and {axes[1]} deg with containment {one.containment} "
            "gives no sky map; the axes must be positive, the containment between 0 and 1"
        )
    ra, dec, angle = (math.radians(value) for value in (one.ra, one.dec, one.angle))
    towards = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
    north = np.array([-math.sin(dec) * math.cos(ra), -math.sin(dec) * math.sin(ra), math.cos(dec)])
    east = np.array([-math.sin(ra), math.cos(ra), 0.0])
    first = math.cos(angle) * north + math.sin(angle) * east
    second = math.cos(angle) * east - math.sin(angle) * north
    one_sigma, other = (_sigma(min(axis, 180.0), one.containment) for axis in axes)
    least = max(one_sigma, other) / _LONGEST
    sigmas = max(one_sigma, least), max(other, least)
    return _Gaussian(np.stack([towards, first, second]), sigmas)


def _sigma(radius: float, containment: float) -> float:
    """Width in the plane of a circle of that radius [deg] and containment.

    With t = 1 / (2 sigma**2), s the square of the circle's radius in the plane, and the sphere
    ending at the square 4: 1 - c = (exp(-t s) - exp(-4 t)) / (1 - exp(-4 t)), solved by bisection.
    """
    square = (2 * math.sin(math.radians(radius) / 2)) ** 2
    floor = math.radians(FLOOR_ARCSEC / 3600)
    if containment <= square / 4:  # an even distribution has as much there
        return _FLAT
    low, high = 1 / (2 * _FLAT**2), -math.log1p(-containment) / square
    for _ in range(100):
        middle = (low + high) / 2
        rest = -math.expm1(-4 * middle)
        inside = -math.expm1(-middle * square) / rest
        low, high = (middle, high) if inside < containment else (low, middle)
    return max(math.sqrt(1 / (2 * high)), floor)


def _plane(one: _Gaussian, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of directions (3, ...) from the centre, in sigmas, in the plane."""
    towards, first, second = np.tensordot(one.frame, points, axes=1)
    # 1 + cos r is 0 at the antipode, whose distance is 2 whatever the direction
    scale = np.sqrt(2.0 / np.maximum(1.0 + towards, 1e-12))
    squared: NDArray[np.float64] = (scale * first / one.sigma[0]) ** 2 + (
        scale * second / one.sigma[1]
    ) ** 2
    return squared


def _points(order: int, pixel: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack(hp.pix2vec(1 << order, pixel, nest=True))


def _cut(gaussians: Sequence[_Gaussian]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Orders and pixels of tiles that cover the sphere once."""
    share = _MANY_TILES / len(gaussians)
    # a side is between a half and the whole of this
    fine = [
        max(min(s) / _FINE, 2 * _FINE_SIGMAS * math.sqrt(math.pi * s[0] * s[1] / share))
        for s in (one.sigma for one in gaussians)
    ]
    orders: list[NDArray[np.int64]] = []
    pixels: list[NDArray[np.int64]] = []
    left = np.arange(12 << 2 * _FIRST_ORDER, dtype=np.int64)
    for order in range(_FIRST_ORDER, ORDER - _SAMPLES_ORDER + 1):
        side = math.sqrt(math.pi / 3) / (1 << order)
        split = np.zeros(len(left), dtype=bool)
        if order < ORDER - _SAMPLES_ORDER:
            points = _points(order, left)
            for one, finest in zip(gaussians, fine, strict=True):
                # a tile's corner may be as far from its middle as a side is long, and longer
                # near the poles and in the plane far from the centre
                nearest = np.sqrt(_plane(one, points)) - 1.5 * side / min(one.sigma)
                split |= (side > finest) & (nearest < _FINE_SIGMAS)
                split |= (side > finest * _FINE) & (nearest < _LAST_SIGMAS)
        orders.append(np.full(int(np.count_nonzero(~split)), order, dtype=np.int64))
        pixels.append(left[~split])
        left = ((left[split] << 2)[:, None] + np.arange(4)).ravel()
        if not len(left):
            break
    return np.concatenate(orders), np.concatenate(pixels)


def _mean_density(
    one: _Gaussian, order: NDArray[np.int64], pixel: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Density of each tile [1/sr], but for the factor that normalises it."""
    density = np.empty(len(order))
    samples = 1 << 2 * _SAMPLES_ORDER
    for each in np.unique(order).tolist():
        there = order == each
        within = (pixel[there] << 2 * _SAMPLES_ORDER)[:, None] + np.arange(samples)
        squared = _plane(one, _points(each + _SAMPLES_ORDER, within))
        density[there] = np.exp(-squared / 2).mean(axis=1)
    return density / (one.sigma[0] * one.sigma[1])
