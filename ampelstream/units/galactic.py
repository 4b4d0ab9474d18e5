"""Galactic latitude in closed form, for hot paths that must not build a SkyCoord."""

import math

__all__ = ["galactic_latitude"]

# Direction of the north Galactic pole in ICRS: the third row of the ICRS to Galactic rotation
# matrix, from the pole of IAU 1958 at J2000 and the FK5 to ICRS frame tie (as astropy has them).
_POLE_X = -0.8676661375596585
_POLE_Y = -0.1980763372730006
_POLE_Z = 0.4559838136873021


def galactic_latitude(ra: float, dec: float) -> float:
    """Galactic latitude of a position.

    Parameters
    ----------
    ra, dec
        Position [deg, ICRS].

    Returns
    -------
    float
        Latitude [deg], -90 to 90; agrees with astropy to better than 1e-6 deg.
    """
    lon, lat = math.radians(ra), math.radians(dec)
    cos_lat = math.cos(lat)
    sine = (
        _POLE_X * cos_lat * math.cos(lon)
        + _POLE_Y * cos_lat * math.sin(lon)
        + _POLE_Z * math.sin(lat)
    )
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))
