"""A source seen by the survey: light curve, history, packets with ZTF's fields."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from ampelstream.simulate.fields import Packet, closing_fields, detection_fields, limit_fields
from ampelstream.simulate.schema import VERSION
from ampelstream.simulate.source import Look, Source
from ampelstream.simulate.survey import DAYS_BEFORE, T0_JD, Exposure, spot

__all__ = ["ALERTS_SINCE_JD", "HISTORY_DAYS", "Observer"]

HISTORY_DAYS: Final = 30.0
"""How far back the history of a packet reaches [d], as in ZTF."""

ALERTS_SINCE_JD: Final = T0_JD - 1.0
"""First packet of the simulated stream [JD]; earlier detections are in histories only."""

_POSITIVE_DIGIT: Final = 5_000  # how ZTF marks in a candid from which subtraction it comes


@dataclass(frozen=True, slots=True)
class _Seen:
    """An exposure of a source: its history entry and, for a detection, the look of it."""

    exposure: Exposure
    entry: dict[str, Any]
    look: Look | None


class Observer:
    """Turns sources into packets and numbers their detections.

    Parameters
    ----------
    seed
        Same seed, same noise.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers: dict[int, int] = {}

    def packets(
        self, source: Source, object_id: str, exposures: Iterable[Exposure]
    ) -> Iterator[Packet]:
        """Give the packets of a source, by time.

        Parameters
        ----------
        source
            What is there.
        object_id
            Its name.
        exposures
            When the survey looks at its place, by time.
        """
        rng = Random(f"{self._seed}/noise/{object_id}")  # noqa: S311  (a simulation, no secrets)
        seen = [self._look(source, exposure, rng) for exposure in exposures]
        detected = [number for number, one in enumerate(seen) if one.look is not None]
        for count, number in enumerate(detected, start=1):
            one = seen[number]
            if one.exposure.jd >= ALERTS_SINCE_JD:
                first = seen[detected[0]].exposure.jd
                earlier = [
                    other.entry
                    for other in seen[:number]
                    if other.exposure.jd >= one.exposure.jd - HISTORY_DAYS
                ]
                yield self._packet(source, object_id, one, earlier, (first, count))

    def _look(self, source: Source, exposure: Exposure, rng: Random) -> _Seen:
        """Expose once."""
        place = spot(source.ra, source.dec)
        seen = source.measure(exposure, rng)
        if seen is None:
            return _Seen(exposure, limit_fields(exposure, place), None)
        look = source.look(rng)
        north, east = (rng.gauss(0.0, source.scatter_arcsec) / 3600.0 for _ in range(2))
        position = (source.ra + east / math.cos(math.radians(source.dec)), source.dec + north)
        entry = detection_fields(exposure, place, seen, look, position, source.neighbours)
        pid: int = entry["pid"]
        number = self._numbers[pid] = self._numbers.get(pid, 0) + 1
        entry["tblid"] = number
        digit = _POSITIVE_DIGIT if seen.positive else 0
        entry["candid"] = pid * 1_000_000 + 10_000 + digit + number
        return _Seen(exposure, entry, look)

    def _packet(
        self,
        source: Source,
        object_id: str,
        one: _Seen,
        earlier: list[dict[str, Any]],
        detections: tuple[float, int],
    ) -> Packet:
        """Put a packet together; ``detections``: JD of the first of the light curve, and count."""
        first, count = detections
        if source.known_since is not None and source.known_since < first:
            # a detection every four nights before the light curve begins
            count += 1 + int((T0_JD - DAYS_BEFORE - source.known_since) / 4.0 % 100)
            first = source.known_since
        candidate = one.entry | closing_fields(source, one.exposure, first, count)
        candidate["drb"] = one.look.drb if one.look is not None else None
        return {
            "schemavsn": VERSION,
            "publisher": "ampelstream simulation",
            "objectId": object_id,
            "candid": candidate["candid"],
            "candidate": candidate,
            "prv_candidates": earlier or None,
            "fp_hists": None,
            "cutoutScience": None,
            "cutoutTemplate": None,
            "cutoutDifference": None,
        }
