"""Notices in GCN's unified schema: the core parts, whatever the mission.

Every field is optional somewhere, and spelled in more than one way: an id is a text, a number, or a
list of either; a time may lack its zone; a notice may say neither its mission nor its type. What
cannot be understood costs itself, with a note, never the event. Facts: https://gcn.nasa.gov/schema.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ampelstream.codecs.jsoncontent import content_digest, read_notice
from ampelstream.codecs.missions import Mission, containment_of, mission_of, with_systematic
from ampelstream.codecs.noticefields import (
    event_name,
    fits_bytes,
    jd_of,
    localised,
    number,
    position_of,
    utc_text,
)
from ampelstream.errors import DecodeError
from ampelstream.model.event import EventRevision, Notice
from ampelstream.model.localisation import Ellipse

__all__ = ["decode"]

_WHAT = "a notice in GCN's unified schema"
_MISSION = re.compile(r"/gcn/notices/(?:classic/)?([^/]+)/")
_TESTS = frozenset({"test", "injection", "commanded"})
_TYPES = frozenset({"INITIAL", "SUBSEQUENT", "UPDATE", "RETRACTION"})
_PERCENT = 100.0
_CORNERS = 4
_MANY_PLACES = 20
"""Coincident events with places of their own of which a map is made: it takes up to half a second
for each of them. Notices have a few."""

_Row = Mapping[str, Any]


def decode(value: bytes) -> Notice:
    """Decode a notice.

    Parameters
    ----------
    value
        The JSON document.

    Raises
    ------
    DecodeError
        It is not one; says why.
    """
    row = read_notice(value, _WHAT, msgspec.json.decode)
    if not isinstance(row, dict):
        raise DecodeError(f"not {_WHAT}: it is no object with named fields")
    ids = tuple(dict.fromkeys((*_texts(row.get("id")), *_texts(row.get("event_name")))))
    follows = _text(row.get("ref_ID")) or _text(row.get("follow_up_event"))
    mission = _mission(row)
    notes: list[str] = []
    alert_type = (_text(row.get("alert_type")) or "initial").upper()
    if alert_type not in _TYPES:
        notes.append(f"alert_type {alert_type!r} is not known; it is taken as an update")
        alert_type = "UPDATE"
    instrument = _text(row.get("instrument")) or ""
    is_retraction = alert_type == "RETRACTION"
    skymap = b"" if is_retraction else _skymap(row, notes)
    ellipses = () if is_retraction else _ellipses(row, mission.name, instrument, notes)
    direction = row.get("most_probable_direction")
    where = direction if isinstance(direction, dict) else row
    position = _position(where)
    axes = _axes(row)
    revision = EventRevision(
        event_id=_event_id(mission, row, ids, follows),
        alert_type=alert_type,
        time_created=_created(row, notes),
        content_digest=content_digest(row, _WHAT),
        kind=_kind(mission, row),
        t0_jd=_trigger(row, notes),
        far=number(row.get("far")),
        pipeline=_text(row.get("pipeline")),
        classification=_probabilities(row.get("classification")),
        properties=_numbers(row),
        test=_is_test(row),
        mission=mission.name,
        instrument=instrument or None,
        messenger=_text(row.get("messenger")),
        ids=ids,
        ra=position[0] if position else None,
        dec=position[1] if position else None,
        ra_dec_error=axes[0] if axes else None,
        containment=_containment(row, mission.name, instrument) if axes else None,
        record_number=_count(row.get("record_number")),
        signalness=_first(row, "p_astro", "signalness"),
        energy=_first(row, "nu_energy", "energy") if mission.kind == "neutrino" else None,
        duration_class=_text(row.get("duration_class")),
        follows=follows,
        skymap_url=_text(row.get("healpix_url")),
        notes=tuple(dict.fromkeys(notes)),
    )
    return localised(revision, ellipses, skymap)


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _texts(value: Any) -> Iterator[str]:
    """A text or a whole number, or a list of such."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and one.strip():
            yield one.strip()
        elif isinstance(one, int) and not isinstance(one, bool):
            yield str(one)


def _count(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None and abs(found) < 2**53 else None


def _first(row: _Row, *names: str) -> float | None:
    return next((found for one in names if (found := number(row.get(one))) is not None), None)


def _numbers(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    found = ((name, number(one)) for name, one in value.items() if not isinstance(one, str))
    return {name: one for name, one in found if one is not None}


def _probabilities(value: Any) -> dict[str, float]:
    """Probabilities by class; SVOM gives them in per cent."""
    found = _numbers(value)
    scale = _PERCENT if 1 < max(found.values(), default=0.0) <= _PERCENT else 1.0
    return {name: one / scale for name, one in found.items()}


def _mission(row: _Row) -> Mission:
    """Who saw it: the schema's path says so in every notice of GCN, the field in most."""
    messenger = _text(row.get("messenger")) or ""
    named = _MISSION.search(_text(row.get("$schema")) or "")
    by_path = mission_of(named[1], messenger) if named else None
    said = _text(row.get("mission"))
    if said is None:
        return by_path or mission_of("GCN", messenger)
    by_field = mission_of(said, messenger)
    return by_path if by_path is not None and by_field.kind == "other" else by_field


def _kind(mission: Mission, row: _Row) -> str:
    """What it is: flares of sources that are known are no bursts."""
    return "other" if "/flare" in (_text(row.get("$schema")) or "") else mission.kind


def _is_test(row: _Row) -> bool:
    """Whether nobody saw it; some missions say so by the schema of their tests only."""
    of_tests = re.search(r"/test[./]", _text(row.get("$schema")) or "")
    return (_text(row.get("alert_tense")) or "").lower() in _TESTS or of_tests is not None


def _event_id(mission: Mission, row: _Row, ids: tuple[str, ...], follows: str | None) -> str:
    """Name of the event (docs/events.md)."""
    of_trigger = list(_texts(row.get("id")))
    both = 2
    if mission.name == "IceCube" and len(of_trigger) == both and all(map(str.isdigit, of_trigger)):
        of_trigger = ["_".join(of_trigger)]  # run and event, which only together name a neutrino
    names = of_trigger or list(ids) or ([follows] if follows else [])
    if not names:
        raise DecodeError(
            f"not {_WHAT} of an event: it has neither id, event_name nor ref_ID, and not the "
            "superevent_id of an IGWN alert"
        )
    return event_name(mission.name, names, "id")


def _created(row: _Row, notes: list[str]) -> str:
    """When the notice was made; empty where it does not say."""
    said = _text(row.get("alert_datetime"))
    try:
        return utc_text(said, "alert_datetime") if said else ""
    except DecodeError as error:
        notes.append(str(error))
        return ""


def _trigger(row: _Row, notes: list[str]) -> float | None:
    for name in ("trigger_time", "observation_start"):
        said = _text(row.get(name))
        if said:
            if name != "trigger_time":
                notes.append("no trigger_time: the start of the observation stands for it")
            return jd_of(said, name)
    return None


def _skymap(row: _Row, notes: list[str]) -> bytes:
    """Sky map within the notice."""
    try:
        return fits_bytes(_text(row.get("healpix_file")), "healpix_file")
    except DecodeError as error:
        notes.append(str(error))
        return b""


def _position(row: _Row) -> tuple[float, float] | None:
    return position_of(row.get("ra"), row.get("dec"))


def _axes(row: _Row) -> tuple[float, float, float] | None:
    """Semi-axes and position angle of the error [deg]; None where it does not say."""
    said = row.get("ra_dec_error")
    nested = row.get("error")
    if said is None and isinstance(nested, dict):
        said = nested.get("radius")
    found = [number(one) for one in (said if isinstance(said, list) else [said])]
    first = found[0] if found else None
    if first is None or first <= 0:
        return None  # zero is what missions write where they do not know
    second = found[1] if len(found) > 1 else None
    angle = found[2] if len(found) > 2 else None  # noqa: PLR2004  (the third of three)
    return first, second if second is not None and second > 0 else first, angle or 0.0


def _containment(row: _Row, mission: str, instrument: str) -> float:
    said = number(row.get("containment_probability"))
    if said is not None and 1 < said <= _PERCENT:
        said /= _PERCENT
    return said if said is not None and 0 < said < 1 else containment_of(mission, instrument)


def _ellipses(row: _Row, mission: str, instrument: str, notes: list[str]) -> tuple[Ellipse, ...]:
    """Where it may be: the error of its position, else of the events that it found."""
    one = _ellipse(row, mission, instrument, notes)
    if one is not None:
        return (one,)
    events = row.get("coincident_events")
    places = [one.get("localization") for one in _rows(events)]
    found = [_ellipse(one, mission, instrument, notes) for one in _rows(places)]
    many = tuple(one for one in found if one is not None)
    if len(many) > _MANY_PLACES:
        notes.append(
            f"{len(many)} coincident events: of more than {_MANY_PLACES} no sky map is made"
        )
        return ()
    if len(many) > 1:
        notes.append(f"{len(many)} coincident events, each with the same probability")
    return many


def _rows(value: Any) -> list[_Row]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _ellipse(row: _Row, mission: str, instrument: str, notes: list[str]) -> Ellipse | None:
    position = _position(row)
    if position is None:
        return None
    axes, containment = _axes(row), _containment(row, mission, instrument)
    if axes is None:
        axes = _rectangle(row.get("rectangular_error_corners"), position[1])
        if axes is None:
            notes.append("a position without an error: it gives no region of the sky")
            return None
        notes.append("a rectangle is taken as the ellipse of the same area and sides")
    major, minor, angle = axes
    if not row.get("systematic_included"):
        major, note = with_systematic(major, containment, mission, instrument)
        minor, _ = with_systematic(minor, containment, mission, instrument)
        notes.extend([note] if note else [])
    return Ellipse(*position, major, minor, angle, containment)


def _rectangle(corners: Any, dec: float) -> tuple[float, float, float] | None:
    """Ellipse of the area and the ratio of sides of a rectangle, given by corners [deg]."""
    found = [_position({"ra": one[0], "dec": one[1]}) for one in _pairs(corners)]
    places = [one for one in found if one is not None]
    if len(places) != _CORNERS:
        return None
    east = [math.cos(math.radians(dec)) * _turn(one[0] - places[0][0]) for one in places]
    north = [one[1] for one in places]
    sides = [(east[n + 1] - east[n], north[n + 1] - north[n]) for n in range(2)]
    lengths = [math.hypot(*one) / math.sqrt(math.pi) for one in sides]
    if min(lengths) <= 0:
        return None
    return lengths[0], lengths[1], math.degrees(math.atan2(*sides[0]))


def _pairs(value: Any) -> list[list[Any]]:
    both = 2
    listed = value if isinstance(value, list) else []
    return [one for one in listed if isinstance(one, list) and len(one) == both]


def _turn(degrees: float) -> float:
    """Difference of right ascensions, within half a turn."""
    return (degrees + 180.0) % 360.0 - 180.0
