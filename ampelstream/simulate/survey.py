"""A survey telescope's habits: fields, readout channels, and when it looks where.

The grid is a plain one of our own (square fields of 7 deg, 8 x 8 channels), not ZTF's, and so are
the times. Identifiers are built as ZTF builds them: night, fraction of the day, channel.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

from ampelstream.model.times import jd_from_iso

__all__ = ["DAYS_AFTER", "DAYS_BEFORE", "PIXELS", "T0_JD", "Exposure", "Spot", "Survey", "spot"]

T0_JD: Final = jd_from_iso("2017-08-17T12:41:04.4")
"""Trigger time of GW170817 [JD, UTC], 12:41:04.4 (Abbott et al. 2017, PRL 119, 161101)."""

DAYS_BEFORE: Final = 34
DAYS_AFTER: Final = 8
"""Nights simulated before and after the trigger."""

_FIELD_DEG: Final = 7.0
_CHANNELS: Final = 8
PIXELS: Final = (3072.0, 3080.0)
"""Columns and rows of a readout channel."""
_NIGHT_ZERO_JD: Final = 2457754.5  # midnight UTC of 2017-01-01, night 0 of ZTF's count
_LIMITS: Final = {1: 20.8, 2: 20.6, 3: 20.2}
_STRIPS: Final = math.ceil(180.0 / _FIELD_DEG)


def _fields_in(strip: int) -> int:
    middle = -90.0 + (strip + 0.5) * _FIELD_DEG
    return max(1, round(360.0 * math.cos(math.radians(middle)) / _FIELD_DEG))


_FIRST: Final = (0, *accumulate(_fields_in(strip) for strip in range(_STRIPS)))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a position falls on the detector.

    Attributes
    ----------
    field
        Field number.
    rcid
        Readout channel, 0 to 63.
    xpos, ypos
        Position on the channel [pixel].
    """

    field: int
    rcid: int
    xpos: float
    ypos: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure of one field.

    Attributes
    ----------
    jd
        Its start [JD, UTC].
    fid
        Filter: 1 g, 2 r, 3 i.
    limmag
        5-sigma limit of the difference image [AB mag].
    """

    jd: float
    fid: int
    limmag: float

    @property
    def nid(self) -> int:
        """Number of the night."""
        return int(self.jd - _NIGHT_ZERO_JD)

    def pid(self, rcid: int) -> int:
        """Identifier of the image of one readout channel."""
        fraction = int((self.jd - _NIGHT_ZERO_JD - self.nid) * 100_000)
        return ((self.nid * 100_000 + fraction) * 100 + rcid) * 100 + 15


def spot(ra: float, dec: float) -> Spot:
    """Find field, channel and pixel of a position [deg]."""
    strip = min(int((dec + 90.0) / _FIELD_DEG), _STRIPS - 1)
    count = _FIRST[strip + 1] - _FIRST[strip]
    along, across = (ra % 360.0) / 360.0 * count, (dec + 90.0) / _FIELD_DEG - strip
    column, row = along % 1.0 * _CHANNELS, across * _CHANNELS
    return Spot(
        field=_FIRST[strip] + min(int(along), count - 1),
        rcid=min(int(row), _CHANNELS - 1) * _CHANNELS + min(int(column), _CHANNELS - 1),
        xpos=column % 1.0 * PIXELS[0],
        ypos=row % 1.0 * PIXELS[1],
    )


class Survey:
    """When each field is exposed, and how deep.

    Every field is visited each second to fourth night, in g and half an hour later in r, now and
    then in i: the some 20 exposures in 30 d that a public ZTF field gets.

    Parameters
    ----------
    seed
        Same seed, same exposures.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._exposures: dict[int, list[Exposure]] = {}

    def exposures(self, field: int) -> list[Exposure]:
        """Exposures of a field from `DAYS_BEFORE` to `DAYS_AFTER` the trigger, sorted by time."""
        if field not in self._exposures:
            self._exposures[field] = list(self._plan(field))
        return self._exposures[field]

    def after(self, field: int, jd: float) -> list[Exposure]:
        """Exposures of a field at or after a time [JD]."""
        planned = self.exposures(field)
        return planned[bisect_right(planned, jd, key=lambda one: one.jd) :]

    def _plan(self, field: int) -> list[Exposure]:
        rng = Random(f"{self._seed}/field/{field}")  # noqa: S311  (a simulation, no secrets)
        clock = rng.uniform(0.13, 0.44)  # of the UTC day: night at Palomar
        midnight = math.floor(T0_JD + 0.5) - 0.5
        day = -float(DAYS_BEFORE) + rng.choice((0, 1, 2))
        planned = []
        while day < DAYS_AFTER:
            start = midnight + day + clock + rng.gauss(0.0, 0.005)
            bands = (1, 2, 3) if rng.random() < 0.1 else (1, 2)  # noqa: PLR2004  (share of visits)
            for number, fid in enumerate(bands):
                jd = round(start + 0.021 * number, 7)
                planned.append(Exposure(jd, fid, _LIMITS[fid] + rng.gauss(-0.2, 0.25)))
            day += rng.choice((2, 3, 4))
        return planned
