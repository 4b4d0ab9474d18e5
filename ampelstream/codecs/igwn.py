"""IGWN GWAlerts: the JSON notices of LIGO, Virgo and KAGRA as GCN sends them."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ampelstream.codecs.jsoncontent import content_digest, parsed, read_notice
from ampelstream.codecs.noticefields import fits_bytes, jd_of
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes
from ampelstream.model.event import (
    EventRevision,
    ExternalCoincidence,
    Notice,
    is_test_superevent,
)
from ampelstream.model.identifiers import checked_name

__all__ = ["decode"]

_WHAT = "an IGWN alert"

_Type = Literal["EARLYWARNING", "PRELIMINARY", "INITIAL", "UPDATE", "RETRACTION"]


class _External(msgspec.Struct):
    gcn_notice_id: int | str | None = None
    ivorn: str | None = None
    observatory: str | None = None
    search: str | None = None
    time_difference: float | None = None
    time_coincidence_far: float | None = None
    time_sky_position_coincidence_far: float | None = None
    combined_skymap: str | None = None


class _Event(msgspec.Struct):
    time: str
    far: float | None = None
    significant: bool | None = None
    instruments: list[str] | None = None
    group: str | None = None
    pipeline: str | None = None
    search: str | None = None
    properties: Any = None
    classification: Any = None
    skymap: str | None = None


class _Alert(msgspec.Struct):
    alert_type: _Type
    time_created: str
    superevent_id: str
    urls: Any = None
    event: _Event | None = None
    external_coinc: _External | None = None


_decoder = msgspec.json.Decoder(_Alert)


def _external(said: _External | None) -> ExternalCoincidence | None:
    if said is None:
        return None
    return ExternalCoincidence(
        observatory=said.observatory,
        search=said.search,
        time_difference=said.time_difference,
        time_coincidence_far=said.time_coincidence_far,
        time_sky_position_coincidence_far=said.time_sky_position_coincidence_far,
        notice_id=None if said.gcn_notice_id is None else str(said.gcn_notice_id),
        ivorn=said.ivorn,
    )


def _numbers(given: Any, what: str, remarks: list[str]) -> dict[str, float]:
    """Numbers of a mapping, a truth value as 0 or 1; of the rest it is remarked that it is left.

    What a search adds to its notices one day must not cost the event.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        remarks.append(f"{what} is {_kind(given)} and no mapping: it was left out")
        return {}
    found: dict[str, float] = {}
    left: list[str] = []
    for name, value in given.items():
        number = _number(value)
        if number is not None:
            found[name] = number
        elif value is not None:
            left.append(f"{name:.40} ({_kind(value)})")
    if left:
        remarks.append(f"left out of {what}, as no number: {', '.join(left)}")
    return found


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON has integers of any length
        return None
    return number if math.isfinite(number) else None


def _kind(value: Any) -> str:
    """What a value of JSON is, for people."""
    kinds = {bool: "a truth value", str: "a text", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "a number")


def _url(urls: Any) -> str | None:
    """Page of the event, where there is one."""
    page = urls.get("gracedb") if isinstance(urls, Mapping) else None
    return page if isinstance(page, str) else None


def decode(value: bytes) -> Notice:
    """Decode a notice.

    Parameters
    ----------
    value
        The JSON document.

    Raises
    ------
    DecodeError
        It is not one; says where it is wrong.
    """
    alert = read_notice(value, _WHAT, _decoder.decode)
    jd_of(alert.time_created, "time_created")
    checked_name(alert.superevent_id, "superevent_id")
    said: dict[str, Any] = {}
    remarks: list[str] = []
    skymap = combined = b""
    event = alert.event
    if alert.alert_type != "RETRACTION":
        if event is None:
            raise DecodeError(f"a notice of type {alert.alert_type} has no event")
        skymap = fits_bytes(event.skymap, "event.skymap")
        if alert.external_coinc is not None:
            combined = fits_bytes(alert.external_coinc.combined_skymap, "combined_skymap")
        said = {
            "t0_jd": jd_of(event.time, "event.time"),
            "significant": event.significant,
            "far": event.far,
            "group": event.group,
            "pipeline": event.pipeline,
            "search": event.search,
            "instruments": tuple(event.instruments or ()),
            "classification": _numbers(event.classification, "classification", remarks),
            "properties": _numbers(event.properties, "properties", remarks),
            "external": _external(alert.external_coinc),
            "skymap_digest": digest_bytes(skymap + combined) if skymap or combined else "",
        }
    revision = EventRevision(
        event_id=alert.superevent_id,
        alert_type=alert.alert_type,
        time_created=alert.time_created,
        content_digest=content_digest(parsed(value, _WHAT, msgspec.json.decode), _WHAT),
        url=_url(alert.urls),
        test=is_test_superevent(alert.superevent_id, event.search if event else None),
        **said,
    )
    return Notice(revision, skymap=skymap, combined_skymap=combined, remarks=tuple(remarks))
