"""Positions to HEALPix pixels, and angles on the sky.

The nested scheme at order 29 (0.4 milliarcsec) is the project's coordinate: a coarser pixel is a
contiguous range of it, so regions are ranges and stored objects are found by range scans.

One position per alert is the hot path, and a numpy call costs more there than the whole formula in
plain Python; ``pixel29`` and ``pixels29`` are therefore the same formula written twice, and a test
holds them together. Formula: Gorski et al. 2005, ApJ 622, 759, sections 4 and 5.
"""

from math import atan2, cos, degrees, hypot, radians, sin
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ampelstream.errors import SkyMapError

__all__ = ["ORDER", "angular_separation", "cell", "pixel29", "pixels29"]

ORDER = 29
"""Order of the project's pixels: the finest whose nested index fits 64 bits with room for NUNIQ."""

_NSIDE = 1 << ORDER
_LAST = _NSIDE - 1
_FACE_BITS = 2 * ORDER
_BELT_Z = 2 / 3  # |sin(dec)| at which the polar caps begin
_ROOT6 = 6**0.5
_QUARTER_TURNS = 4
_POLE = 90.0

# Spreading the 29 bits of a face coordinate to every second bit: (shift, mask), widest step first.
_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def _no_position(ra: float, dec: float) -> SkyMapError:
    return SkyMapError(f"ra={ra}, dec={dec} is no position on the sky: give degrees, |dec| <= 90")


def pixel29(ra: float, dec: float) -> int:
    """Order-29 nested pixel of one position.

    Parameters
    ----------
    ra, dec
        Position [deg]; any right ascension, declination within -90..90.

    Raises
    ------
    SkyMapError
        The position is not on the sky, or not a number.
    """
    # a chained comparison is false for nan, the subtraction is nan for an infinite ra
    if not -_POLE <= dec <= _POLE or ra - ra != 0.0:
        raise _no_position(ra, dec)
    turn = ra % 360.0 / 90.0
    if turn >= _QUARTER_TURNS:  # the remainder of a tiny negative number rounds to 360
        turn = 0.0
    z = sin(radians(dec))
    if -_BELT_Z <= z <= _BELT_Z:
        along, across = _NSIDE * (0.5 + turn), _NSIDE * 0.75 * z
        down, up = int(along - across), int(along + across)
        face_down, face_up = down >> ORDER, up >> ORDER
        if face_down == face_up:
            face = face_down | 4
        else:
            face = face_down if face_down < face_up else face_up + 8
        x, y = up & _LAST, _LAST - (down & _LAST)
    else:
        quarter = int(turn)
        part = turn - quarter
        # sqrt(3 (1 - |z|)) without the cancellation near the pole
        ring = _NSIDE * _ROOT6 * sin(radians((_POLE - abs(dec)) / 2.0))
        down = min(int(part * ring), _LAST)
        up = min(int((1.0 - part) * ring), _LAST)
        face, x, y = (quarter, _LAST - up, _LAST - down) if z > 0 else (quarter + 8, down, up)
    for shift, mask in _SPREAD:
        x = (x | x << shift) & mask
        y = (y | y << shift) & mask
    return face << _FACE_BITS | x | y << 1


def pixels29(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Order-29 nested pixels of many positions.

    Parameters
    ----------
    ra, dec
        Positions [deg], shapes that broadcast.

    Raises
    ------
    SkyMapError
        A position is not on the sky, or not a number.
    """
    lon, lat = np.broadcast_arrays(np.asarray(ra, dtype=float), np.asarray(dec, dtype=float))
    bad = ~(np.isfinite(lon) & (np.abs(lat) <= _POLE))
    if bad.any():
        at = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise _no_position(float(lon[at]), float(lat[at]))
    turn = lon % 360.0 / 90.0
    turn = np.where(turn >= _QUARTER_TURNS, 0.0, turn)
    z = np.sin(np.radians(lat))
    belt = np.abs(z) <= _BELT_Z
    columns = zip(_belt(turn, z), _cap(turn, z, lat), strict=True)
    face, x, y = (np.where(belt, inside, outside) for inside, outside in columns)
    return face << _FACE_BITS | _spread(x) | _spread(y) << 1


_Triple = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _belt(turn: NDArray[np.float64], z: NDArray[np.float64]) -> _Triple:
    """Face and face coordinates in the equatorial belt; anything outside it."""
    along, across = _NSIDE * (0.5 + turn), _NSIDE * 0.75 * z
    down, up = (along - across).astype(np.int64), (along + across).astype(np.int64)
    face_down, face_up = down >> ORDER, up >> ORDER
    unequal = np.where(face_down < face_up, face_down, face_up + 8)
    face = np.where(face_down == face_up, face_down | 4, unequal)
    return face, up & _LAST, _LAST - (down & _LAST)


def _cap(turn: NDArray[np.float64], z: NDArray[np.float64], lat: NDArray[np.float64]) -> _Triple:
    """Face and face coordinates in the polar caps; anything outside them."""
    quarter = turn.astype(np.int64)
    part = turn - quarter
    ring = _NSIDE * _ROOT6 * np.sin(np.radians((_POLE - np.abs(lat)) / 2.0))
    down = np.minimum((part * ring).astype(np.int64), _LAST)
    up = np.minimum(((1.0 - part) * ring).astype(np.int64), _LAST)
    north = z > 0
    return (
        np.where(north, quarter, quarter + 8),
        np.where(north, _LAST - up, down),
        np.where(north, _LAST - down, up),
    )


def _spread(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    for shift, mask in _SPREAD:
        bits = (bits | bits << shift) & mask
    return bits


def cell(pixel: int, order: int) -> int:
    """Nested pixel of a coarser order that holds an order-29 pixel."""
    return pixel >> 2 * (ORDER - order)


@overload
def angular_separation(ra1: float, dec1: float, ra2: float, dec2: float) -> float: ...
@overload
def angular_separation(
    ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike
) -> NDArray[np.float64]: ...
def angular_separation(
    ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike
) -> float | NDArray[np.float64]:
    """Angle between positions [deg], good to a few ulp at any separation.

    The arctangent form (Vincenty's formula on a sphere) has no loss at 0 or 180 deg.

    Parameters
    ----------
    ra1, dec1, ra2, dec2
        Positions [deg], plain numbers or shapes that broadcast.
    """
    if (
        isinstance(ra1, float | int)
        and isinstance(dec1, float | int)
        and isinstance(ra2, float | int)
        and isinstance(dec2, float | int)
    ):
        turn, lat1, lat2 = radians(ra2 - ra1), radians(dec1), radians(dec2)
        east = cos(lat2) * sin(turn)
        north = cos(lat1) * sin(lat2) - sin(lat1) * cos(lat2) * cos(turn)
        ahead = sin(lat1) * sin(lat2) + cos(lat1) * cos(lat2) * cos(turn)
        return degrees(atan2(hypot(east, north), ahead))
    turns = np.radians(np.subtract(ra2, ra1))
    lats1, lats2 = np.radians(dec1), np.radians(dec2)
    east_ = np.cos(lats2) * np.sin(turns)
    north_ = np.cos(lats1) * np.sin(lats2) - np.sin(lats1) * np.cos(lats2) * np.cos(turns)
    ahead_ = np.sin(lats1) * np.sin(lats2) + np.cos(lats1) * np.cos(lats2) * np.cos(turns)
    separation: NDArray[np.float64] = np.degrees(np.arctan2(np.hypot(east_, north_), ahead_))
    return separation
