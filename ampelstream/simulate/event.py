"""The story of the simulated night: a merger found, refined, and another one taken back."""

from collections.abc import Mapping
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
_MINUTE: Final = 1.0 / 1440.0
_FAR_HZ: Final = 3e-13


def _request(
    event_id: str, minutes: float, where: Localisation, distance: tuple[float, float], order: int
) -> MapRequest:
    """Ask for a map made some minutes after its trigger."""
    t0_jd = T0_JD if event_id == MERGER_ID else T0_JD + 0.77
    created = iso_from_jd(t0_jd + minutes * _MINUTE)[:19] + "Z"
    return MapRequest(event_id, t0_jd, created, where, order, *distance)


def notices() -> Mapping[str, bytes]:
    """Give the notices of the night by file name, which sort as they were sent."""
    first = _request(MERGER_ID, 6.0, PRELIMINARY, (38.0, 9.0), 8)
    second = _request(MERGER_ID, 290.0, UPDATE, (40.0, 6.5), 9)
    other = _request(FALSE_ALARM_ID, 5.0, _FALSE_ALARM, (810.0, 230.0), 7)
    taken_back = _request(FALSE_ALARM_ID, 160.0, _FALSE_ALARM, (810.0, 230.0), 7)
    false_far = 2e-7
    made = {
        "preliminary": (first, notice(first, "PRELIMINARY", far=_FAR_HZ, classification=BNS)),
        "update": (second, notice(second, "UPDATE", far=_FAR_HZ / 10, classification=BNS)),
        "initial": (other, notice(other, "PRELIMINARY", far=false_far, classification=BBH)),
        "retraction": (
            taken_back,
            notice(taken_back, "RETRACTION", far=false_far, classification=BBH),
        ),
    }
    return {
        f"{number}-{request.event_id}-{kind}.json": value
        for number, (kind, (request, value)) in enumerate(made.items(), start=1)
    }
