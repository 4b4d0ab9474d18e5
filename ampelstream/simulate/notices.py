"""Simulated gravitational-wave notices in the layout of IGWN's GCN alerts.

Names of events begin with MS, LVK's own mark of mock events. Nothing here was observed.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from ampelstream.errors import ConfigError
from ampelstream.model.times import iso_from_jd
from ampelstream.simulate.localisation import Localisation
from ampelstream.simulate.skymap import MapRequest, render

__all__ = ["BBH", "BNS", "notice", "simulate_notice"]

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
        "search": "MDC",
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
