"""Simulated gravitational-wave notices in the layout of IGWN's GCN alerts.

`simulate_notice` makes any notice that a test wants. `night_notices` gives the four of the demo's
night: a merger found and refined, another one retracted. Their names begin with SIM, which GraceDB
gives to nothing; a name that begins with MS makes a mock event, as LIGO, Virgo and KAGRA send them.
Nothing here was observed.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from ampelstream.errors import ConfigError
from ampelstream.model.event import is_test_superevent
from ampelstream.model.times import iso_from_jd
from ampelstream.simulate.lvkskymap import Localisation, MapRequest, render
from ampelstream.simulate.survey import T0_JD

__all__ = [
    "BBH",
    "BNS",
    "FALSE_ALARM_ID",
    "MERGER_ID",
    "PRELIMINARY",
    "UPDATE",
    "night_notices",
    "notice",
    "simulate_notice",
]

BNS: Final[Mapping[str, float]] = {"BNS": 0.97, "NSBH": 0.02, "BBH": 0.0, "Terrestrial": 0.01}
BBH: Final[Mapping[str, float]] = {"BNS": 0.0, "NSBH": 0.01, "BBH": 0.93, "Terrestrial": 0.06}

_PER_MONTH_HZ: Final = 1.0 / (30.44 * 86400.0)


def _envelope(event_id: str, alert_type: str, created: str) -> dict[str, Any]:
    return {
        "schema_version": "v1_0",
        "alert_type": alert_type,
        "time_created": created,
        "superevent_id": event_id,
        "urls": {"gracedb": f"https://example.org/simulated/{event_id}"},
        "event": None,
        "external_coinc": None,
    }


def _event(request: MapRequest, far: float, classification: Mapping[str, float]) -> dict[str, Any]:
    star = classification.get("BNS", 0.0) + classification.get("NSBH", 0.0)
    return {
        "time": iso_from_jd(request.t0_jd),
        "far": far,
        "significant": far < _PER_MONTH_HZ,
        "instruments": ["H1", "L1", "V1"],
        "group": "CBC",
        "pipeline": "simulation",
        "search": "MDC" if is_test_superevent(request.event_id) else "AllSky",
        "properties": {
            "HasNS": round(star, 3),
            "HasRemnant": classification.get("BNS", 0.0),
            "HasMassGap": 0.0,
        },
        "classification": dict(classification),
        "duration": None,
        "central_frequency": None,
        "skymap": base64.b64encode(render(request)).decode("ascii"),
    }


def notice(
    request: MapRequest, alert_type: str, *, far: float, classification: Mapping[str, float]
) -> bytes:
    """Make a notice of a map and what else is said of the event; JSON.

    Parameters
    ----------
    request
        Event, times and sky map.
    alert_type
        EARLYWARNING, PRELIMINARY, INITIAL or UPDATE; in a RETRACTION there is no map.
    far
        False alarm rate [Hz].
    classification
        Probabilities by class.
    """
    said = _envelope(request.event_id, alert_type, request.created)
    if alert_type != "RETRACTION":
        said["event"] = _event(request, far, classification)
    return json.dumps(said).encode()


def simulate_notice(
    *,
    event_id: str,
    alert_type: str,
    time_created: str,
    t0_jd: float | None,
    ra: float,
    dec: float,
    width_deg: float,
    order: int = 6,
    length_deg: float | None = None,
    angle_deg: float = 0.0,
    distance_mpc: float = 40.0,
    distance_sigma_mpc: float = 8.0,
    far: float = 1e-12,
    classification: Mapping[str, float] = BNS,
) -> bytes:
    """Make a small notice for a test: a Gaussian localisation where one wants it.

    Parameters
    ----------
    event_id
        Name of the event.
    alert_type
        EARLYWARNING, PRELIMINARY, INITIAL, UPDATE or RETRACTION.
    time_created
        ISO 8601, UTC.
    t0_jd
        Trigger time [JD, UTC], kept to the millisecond; None only in a retraction.
    ra, dec
        Centre [deg].
    width_deg, length_deg
        1-sigma widths [deg] across and along; without a length the localisation is round.
    order
        HEALPix order of the finest tiles.
    angle_deg
        Position angle of the long axis, from north to east [deg].
    distance_mpc, distance_sigma_mpc
        Distance and its width [Mpc].
    far
        False alarm rate [Hz].
    classification
        Probabilities by class.

    Raises
    ------
    ConfigError
        There is no trigger time, and it is no retraction.
    """
    if alert_type == "RETRACTION":
        return json.dumps(_envelope(event_id, alert_type, time_created)).encode()
    if t0_jd is None:
        raise ConfigError(f"notice {event_id} {alert_type}: t0_jd is missing; give a Julian date")
    where = Localisation(ra, dec, length_deg or width_deg, width_deg, angle_deg)
    request = MapRequest(
        event_id, t0_jd, time_created, where, order, distance_mpc, distance_sigma_mpc
    )
    return notice(request, alert_type, far=far, classification=classification)


# The night of the demo: a merger found and refined, and another event retracted.

MERGER_ID: Final = "SIM170817a"
FALSE_ALARM_ID: Final = "SIM170818b"

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
    """Ask for a map of the event that is retracted."""
    t0_jd = T0_JD + 0.77
    return MapRequest(FALSE_ALARM_ID, t0_jd, _after(t0_jd, minutes), _FALSE_ALARM, 7, 810.0, 230.0)


def _after(t0_jd: float, minutes: float) -> str:
    """Time some minutes later, ISO 8601, whole seconds."""
    return iso_from_jd(t0_jd + minutes / 1440.0)[:19] + "Z"


def night_notices() -> dict[str, bytes]:
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
