"""Where an object is: one position of many, and how far they lie apart."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["APART_ARCSEC", "Position", "mean_position", "robust_position"]

APART_ARCSEC = 3.0
"""Positions of one object farther apart than this are not those of one resting source [arcsec].

Twice the radius (1.5 arcsec) within which ZTF gives detections the same object id; Rubin's is
smaller.
"""

Place = tuple[float, float]
"""(ra, dec) [deg]."""
_Vector = tuple[float, float, float]

_ARCSEC = math.degrees(1.0) * 3600.0
"""Of a radian."""
_NEAR = (2.0 * math.sin(APART_ARCSEC / _ARCSEC / 2.0)) ** 2
"""The square of the chord of that angle, on the unit sphere."""
_AS_NEAR = 1.0 + 1e-6
"""What is farther by less than this factor (squared) counts as equally near: it is rounding."""


class Position(NamedTuple):
    """Where an object is.

    Attributes
    ----------
    ra, dec
        The position [deg, ICRS], 0 <= ra < 360.
    scatter_arcsec
        Median separation of the object's positions from it [arcsec].
    strays
        How many of them lie farther from it than `APART_ARCSEC`.
    """

    ra: float
    dec: float
    scatter_arcsec: float = 0.0
    strays: int = 0


def robust_position(anchors: Sequence[Place], measured: Sequence[Place] = ()) -> Position | None:
    """Position of an object, which is always where something was measured.

    The mean direction of the measured places within `APART_ARCSEC` of the anchor. That is the
    anchor place which is nearest to the median direction of all of them (of two equally near the
    one that stands later): the median of each Cartesian component of their unit vectors, by which
    RA 0/360 and the poles are like other places, and a minority of strays moves nothing. Of a
    resting source it is the mean of all; of distant places it is never a point between them.

    Parameters
    ----------
    anchors
        Places [deg] that the position may be at, in the order of time.
    measured
        Places [deg] whose mean is taken near the anchor, in any order; without any, the anchors.
        Where none is near, the position is that of the anchor.

    Returns
    -------
    Position or None
        None where there is no anchor.
    """
    if not anchors:
        return None
    vectors = list(map(_vector, anchors))
    anchor = _anchor(vectors)
    points = list(map(_vector, measured)) if measured else vectors
    chords = _chords(points, anchor)
    if max(chords) <= _NEAR:
        near = points
    else:
        near = [one for one, chord in zip(points, chords, strict=True) if chord <= _NEAR]
    middle = _unit(_sum(near)) if near else anchor
    chords = sorted(_chords(points, middle))
    low, high = chords[(len(chords) - 1) // 2], chords[len(chords) // 2]
    scatter = _separation(low)
    if high > low:
        scatter = (scatter + _separation(high)) / 2.0
    strays = len(chords) - bisect_right(chords, _NEAR)
    return Position(*_place(middle), scatter, strays)


def _anchor(vectors: Sequence[_Vector]) -> _Vector:
    """The vector nearest to the median of all; the last one where all are near that."""
    last = vectors[-1]
    if len(vectors) == 1 or max(_chords(vectors, last)) <= _NEAR:
        return last
    chords = _chords(vectors, _median(vectors))
    most = min(chords) * _AS_NEAR
    return next(
        one for one, chord in zip(vectors[::-1], chords[::-1], strict=True) if chord <= most
    )


def _vector(place: Place) -> _Vector:
    lon, lat = math.radians(place[0]), math.radians(place[1])
    across = math.cos(lat)
    return across * math.cos(lon), across * math.sin(lon), math.sin(lat)


def _place(vector: _Vector) -> Place:
    x, y, z = vector
    ra = math.degrees(math.atan2(y, x)) % 360.0
    return (0.0 if ra == 360.0 else ra), math.degrees(math.atan2(z, math.hypot(x, y)))  # noqa: PLR2004  (a full turn)


def _chords(vectors: Iterable[_Vector], place: _Vector) -> list[float]:
    """Squares of the chords from a place to others."""
    x, y, z = place
    return [(dx := a - x) * dx + (dy := b - y) * dy + (dz := c - z) * dz for a, b, c in vectors]


def _separation(chord2: float) -> float:
    """Angle of a chord [arcsec]."""
    return 2.0 * math.asin(min(1.0, math.sqrt(chord2) / 2.0)) * _ARCSEC


def _median(vectors: Sequence[_Vector]) -> _Vector:
    """Direction of the median of each component (of an even number, of the mean of the two)."""
    low, high = (len(vectors) - 1) // 2, len(vectors) // 2
    ordered = [sorted(axis) for axis in zip(*vectors, strict=True)]
    x, y, z = ((axis[low] + axis[high]) / 2.0 for axis in ordered)
    return _unit((x, y, z))


def _sum(vectors: Sequence[_Vector]) -> _Vector:
    x = y = z = 0.0
    for a, b, c in vectors:
        x += a
        y += b
        z += c
    return x, y, z


def _unit(vector: _Vector) -> _Vector:
    """The same direction with length 1; one of length 0 stays, and is as near to all others."""
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z) or 1.0
    return x / length, y / length, z / length


def mean_position(points: Iterable[Place]) -> Place:
    """Mean direction of positions on the sphere.

    The mean of unit vectors: right also across RA 0/360 and near the poles, where an arithmetic
    mean of right ascensions is not.

    Parameters
    ----------
    points
        (ra, dec) [deg], at least one.

    Returns
    -------
    tuple of float
        (ra, dec) [deg], 0 <= ra < 360.

    Raises
    ------
    ValueError
        There is no point.
    """
    vectors = [_vector(place) for place in points]
    if not vectors:
        raise ValueError("no position to average")
    return _place(_sum(vectors))
