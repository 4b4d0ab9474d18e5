"""When a sky map was observed, by its header."""

import math
from collections.abc import Mapping

from ampelstream.model.times import jd_from_iso

__all__ = ["observation_jd"]

_MJD_EPOCH_JD = 2400000.5


def observation_jd(header: Mapping[str, str | float]) -> float | None:
    """Time of the observation [JD, UTC]: DATE-OBS, else MJD-OBS, else None.

    Only the table's own header counts: in a file's primary header DATE-OBS may be something else
    (Fermi GBM: the start of the data, a minute before the burst, in Terrestrial Time).
    """
    try:
        return jd_from_iso(str(header.get("DATE-OBS", "")).strip())
    except ValueError:
        pass  # absent, or a leap second, which Python's clock does not have
    try:
        mjd = float(header.get("MJD-OBS", math.nan))
    except ValueError:
        return None
    return _MJD_EPOCH_JD + mjd if math.isfinite(mjd) else None
