"""The order-29 pixels that a cone may touch, as ranges."""

from math import frexp, pi, radians

from astropy_healpix import neighbours
from numpy import errstate

from ampelstream.sky.healpix import ORDER, cell, pixel29

__all__ = ["cone_ranges"]

_SIDE = (pi / 3) ** 0.5
"""Side of a square with the area of a base cell [rad]; a cell of order k has 2**-k of it."""

_REACH = 0.5
"""Radius of the largest cone, in sides of a cell, that a cell and its neighbours surely hold.

No point of a cell is nearer than about 0.7 sides to the outer border of its neighbours (the
narrowest place, by trial over the sphere); the rest is for safety.
"""

_FINEST = 20
"""Finest order of the cover (cells of 0.2 arcsec): much coarser than the rounding of positions."""

_LEAST_RADIUS = 1e-9
"""Radius [deg] of cones without width: far below a cell of the finest order."""

_WHOLE_SKY = (0, 12 << 2 * ORDER)


def cone_ranges(ra: float, dec: float, radius: float) -> list[tuple[int, int]]:
    """Order-29 ranges that hold every point of a cone, and some around it.

    The cell of the centre, of an order at which it is at least twice as wide as the radius, and its
    neighbours: nine cells at most. A cone wider than those of order 1 gives the whole sky.

    Parameters
    ----------
    ra, dec
        Centre [deg].
    radius
        Radius [deg], not negative.

    Returns
    -------
    list of (int, int)
        Half-open ranges, sorted, apart from each other.

    Raises
    ------
    SkyMapError
        The centre is no position.
    """
    centre = pixel29(ra, dec)
    # frexp gives q = m 2**e with m in [1/2, 1): the largest k with 2**k <= q is e - 1
    widest = frexp(_SIDE * _REACH / radians(max(radius, _LEAST_RADIUS)))[1] - 1
    order = min(widest, _FINEST)
    if order < 1:
        return [_WHOLE_SKY]
    middle = cell(centre, order)
    with errstate(invalid="ignore"):  # astropy_healpix has no eighth neighbour at some corners
        around = neighbours(middle, 1 << order, order="nested").tolist()
    shift = 2 * (ORDER - order)
    ranges: list[tuple[int, int]] = []
    for pixel in sorted({middle, *around} - {-1}):  # and gives -1 for it
        start, end = pixel << shift, (pixel + 1) << shift
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges
