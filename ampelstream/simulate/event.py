"""The story of the simulated night: a merger found, refined, and another one taken back."""

from typing import Final

from ampelstream.model.times import iso_from_jd
from ampelstream.simulate.localisation import Localisation
from ampelstream.simulate.notices import BBH, BNS, notice
from ampelstream.simulate.skymap import MapRequest
from ampelstream.simulate.survey import T0_JD

__all__ = ["FALSE_ALARM_ID", "MERGER_ID", "PRELIMINARY", "UPDATE", "notices"]

MERGER_ID: Final = "MS170817a"
FALSE_ALARM_ID: Final = "MS170818b"

# AT2017gfo lies well inside both, at neither's maximum; areas and shape are like those of GW170817
# before and after Virgo's data were added (Abbott et al. 2017, ApJL 848, L12), roughly.
PRELIMINARY: Final = Localisation(194.2, -19.0, along=7.5, across=1.9, angle=148.0, bend=0.5)
"""First localisation of the merger."""
UPDATE: Final = Localisation(196.2, -22.2, along=3.8, across=1.1, angle=148.0, bend=0.15)
"""Second, better one."""

_FALSE_ALARM: Final = Localisation(221.0, 24.0, along=14.0, across=4.0, angle=40.0, bend=1.5)


def _merger(minutes: float, where: Localisation, distance: tuple[float, float]) -> MapRequest:
    """Ask for a map of the merger, made some minutes after it."""
    return MapRequest(MERGER_ID, T0_JD, _after(T0_JD, minutes), where, 9, *distance)


def _other(minutes: float) -> MapRequest:
    """Ask for a map of the event that is taken back."""
    t0_jd = T0_JD + 0.77
    return MapRequest(FALSE_ALARM_ID, t0_jd, _after(t0_jd, minutes), _FALSE_ALARM, 7, 810.0, 230.0)


def _after(t0_jd: float, minutes: float) -> str:
    """Time some minutes later, ISO 8601, whole seconds."""
    return iso_from_jd(t0_jd + minutes / 1440.0)[:19] + "Z"


def notices() -> dict[str, bytes]:
    """Give the notices of the night by file name, which sort as they were sent."""
    story = (
        (_merger(6.0, PRELIMINARY, (38.0, 9.0)), "PRELIMINARY", 3e-13, BNS),
        (_merger(290.0, UPDATE, (40.0, 6.5)), "UPDATE", 3e-14, BNS),
        (_other(5.0), "PRELIMINARY", 2e-7, BBH),
        (_other(160.0), "RETRACTION", 2e-7, BBH),
    )
    return {
        f"{number}-{request.event_id}-{kind.lower()}.json": notice(
            request, kind, far=far, classification=classification
        )
        for number, (request, kind, far, classification) in enumerate(story, start=1)
    }
