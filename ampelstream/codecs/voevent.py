"""VOEvents: notices in XML, as GCN has sent them since its beginning (``gcn.classic.voevent.*``).

VOEvent 2.0 says where position, time and citations stand; the rest is in parameters that each
mission names in its own way. Whatever is a number is kept under its name.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ampelstream.codecs.missions import Mission, containment_of, mission_of, with_systematic
from ampelstream.codecs.noticefields import (
    event_name,
    jd_of,
    localised,
    number,
    position_of,
    utc_text,
)
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest
from ampelstream.model.event import EventRevision, Notice, is_test_superevent
from ampelstream.model.identifiers import checked_name
from ampelstream.model.localisation import Ellipse

__all__ = ["decode"]

_LIMIT = 4 << 20
"""Longest document [byte]; they have some kilobytes."""
_MANY_TAGS = 20_000
"""How many tags one may have; they have some hundred."""
_LONG_NUMBER = 18
"""Most digits of a trigger's number that is taken apart."""
_YEAR_SECONDS = 365.25 * 86400
_SUBNUMBERS = 1 << 16
_LATER = re.compile(r"Flt_Pos|Gnd_Pos|Fin_Pos|Refined|Offline|XRT|UVOT|FOM|Lightcurve|Trans")
_UNSURE = {"", "unknown", "none"}
_NO_ERROR = "a position without an error: it gives no region of the sky"
_BACKGROUND = "Obs_Support_Info"
"""Group of where Sun and Moon stand, which says nothing of the event."""


class _Document:
    """What is read of a VOEvent."""

    def __init__(self, root: Element) -> None:
        self.root = root
        # first: what is nested too deeply ends here, before anything looks for tags within tags,
        # which takes the square of the depth
        self.digest = digest(_content(root))
        ivorn = root.get("ivorn") or ""
        stream, _, self.local = ivorn.removeprefix("ivo://").partition("#")
        self.stream = stream.rsplit("/", 1)[-1]
        self.authority = stream
        self.what = {(group, name): value for group, name, value in _parameters(root)}
        self.params = {name: value for (_, name), value in self.what.items()}

    def text(self, *path: str) -> str:
        """Text of the first element at the end of a path of tags, wherever that begins."""
        found = next(_descend(self.root, path), None)
        return (found.text or "").strip() if found is not None else ""

    def flag(self, name: str) -> bool:
        """Whether a parameter says true."""
        return self.params.get(name, "").lower() == "true"

    def numbers(self, group: str | None = None) -> dict[str, float]:
        """Parameters of a group, or of all, that are numbers."""
        found = (
            (name, number(value))
            for (of, name), value in self.what.items()
            if (of == group if group else of != _BACKGROUND)
        )
        return {name: value for name, value in found if value is not None}


def _tag(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _descend(root: Element, path: tuple[str, ...]) -> Iterator[Element]:
    for element in root.iter():
        if _tag(element) == path[0]:
            if len(path) == 1:
                yield element
            else:
                yield from _descend(element, path[1:])


def _parameters(root: Element) -> Iterator[tuple[str, str, str]]:
    """Group, name and value of each parameter."""
    for what in root:
        if _tag(what) != "What":
            continue
        for one in what:
            if _tag(one) == "Param":
                yield "", one.get("name") or "", (one.get("value") or "").strip()
            for inner in one if _tag(one) == "Group" else ():
                if _tag(inner) == "Param":
                    name, value = inner.get("name") or "", inner.get("value") or ""
                    yield one.get("name") or "", name, value.strip()


def _content(element: Element) -> Any:
    """What a document says, whatever its white space and the order of its attributes."""
    text, inner = (element.text or "").strip(), [_content(one) for one in element]
    return [_tag(element), sorted(element.attrib.items()), text, inner]


def decode(value: bytes) -> Notice:
    """Decode a notice.

    Parameters
    ----------
    value
        The XML document.

    Raises
    ------
    DecodeError
        It is none; says why.
    """
    if len(value) > _LIMIT:
        raise DecodeError(f"not a VOEvent: it is longer than {_LIMIT >> 20} MiB")
    if value.count(b"<") > _MANY_TAGS:
        raise DecodeError(f"not a VOEvent: it has more than {_MANY_TAGS} tags")
    try:
        root = fromstring(value, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DecodeError(f"not a VOEvent: the XML cannot be read: {error}") from error
    try:
        document = _Document(root)
        if _tag(root) != "VOEvent" or not root.get("ivorn"):
            raise DecodeError(f"not a VOEvent: the root is {_tag(root)!a:.40}, or has no ivorn")
        return _superevent(document) if _is_gw(document) else _trigger(document)
    except RecursionError as error:
        raise DecodeError("not a VOEvent: its elements are nested too deeply") from error


def _common(document: _Document) -> dict[str, Any]:
    """What all missions say in the same way."""
    created, observed = document.text("Who", "Date"), document.text("ISOTime")
    return {
        "time_created": utc_text(created, "Date") if created else "",
        "content_digest": document.digest,
        "t0_jd": jd_of(observed, "ISOTime") if observed else None,
        "skymap_url": document.params.get("skymap_fits") or None,
    }


# --- gravitational waves ------------------------------------------------------------------------


def _is_gw(document: _Document) -> bool:
    return document.stream.upper() in {"LVC", "LVK"} and "GraceID" in document.params


def _superevent(document: _Document) -> Notice:
    """An alert of LIGO, Virgo and KAGRA; its sky map is only named."""
    params, numbers = document.params, document.numbers()
    event_id = checked_name(params["GraceID"], "GraceID")
    alert_type = params.get("AlertType", "").upper().replace("_", "")
    test = document.root.get("role") == "test"
    instruments = params.get("Instruments", "").split(",")
    return Notice(
        EventRevision(
            event_id=event_id,
            alert_type="RETRACTION" if "RETRACTION" in alert_type else alert_type or "PRELIMINARY",
            kind="gw",
            far=numbers.get("FAR"),
            significant=numbers["Significant"] > 0 if "Significant" in numbers else None,
            group=params.get("Group") or None,
            pipeline=params.get("Pipeline") or None,
            search=params.get("Search") or None,
            instruments=tuple(filter(None, (one.strip() for one in instruments))),
            classification=document.numbers("Classification"),
            properties=document.numbers("Properties"),
            url=params.get("EventPage") or None,
            test=test or is_test_superevent(event_id, params.get("Search")),
            mission="LVK",
            messenger="GW",
            ids=(event_id,),
            **_common(document),
        )
    )


# --- everything else ----------------------------------------------------------------------------


def _trigger(document: _Document) -> Notice:
    """A notice of a telescope that saw something at a place and a time."""
    params, mission = document.params, _mission(document)
    instrument = params.get("Instrument", "")
    if mission.name in {"Fermi", "Swift"}:
        instrument = document.local.split("_", 1)[0]
    alert_type = _alert_type(document)
    notes: list[str] = []
    place = _place(document)
    containment = containment_of(mission.name, instrument)
    ellipses: tuple[Ellipse, ...] = ()
    if place and place[2] is None and alert_type != "RETRACTION":
        notes.append(_NO_ERROR)
    elif place and place[2] and alert_type != "RETRACTION":
        radius, note = with_systematic(place[2], containment, mission.name, instrument)
        notes.extend([note] if note else [])
        ellipses = (Ellipse(place[0], place[1], radius, radius, 0.0, containment),)
    ids = _ids(document, mission)
    numbers = document.numbers()
    length = params.get("Long_short", "")
    revision = EventRevision(
        event_id=event_name(mission.name, ids[:1], "the trigger's number"),
        alert_type=alert_type,
        kind=_kind(document, mission),
        far=_rate(document),
        properties=numbers,
        test=_is_test(document),
        mission=mission.name,
        instrument=instrument or None,
        messenger={"neutrino": "Neutrino", "gw": "GW"}.get(mission.kind, "EM"),
        ids=ids,
        ra=place[0] if place else None,
        dec=place[1] if place else None,
        ra_dec_error=place[2] if place else None,
        containment=containment if place and place[2] else None,
        signalness=numbers.get("signalness"),
        energy=numbers.get("energy") if mission.kind == "neutrino" else None,
        duration_class=None if length.lower() in _UNSURE else length.upper(),
        notes=tuple(notes),
        **_common(document),
    )
    return localised(revision, ellipses, b"")


def _mission(document: _Document) -> Mission:
    """Who saw it: ``ivo://nasa.gsfc.gcn/SWIFT``, or an authority of its own."""
    if document.stream.upper() == "AMON":
        return mission_of("IceCube" if document.local.upper().startswith("ICECUBE") else "AMON")
    named = mission_of(document.stream)
    if named.kind != "other":
        return named
    for part in re.split(r"[./]", document.authority):
        of_authority = mission_of(part)
        if of_authority.kind != "other":
            return of_authority
    return named


def _kind(document: _Document, mission: Mission) -> str:
    """What it is; flares and transients of sources that are known are no bursts."""
    if document.local.startswith("HAWC"):
        return "grb"
    return "other" if re.search(r"Monitor|Trans_Pos", document.local) else mission.kind


def _ids(document: _Document, mission: Mission) -> tuple[str, ...]:
    """Names of the trigger, that of the event first."""
    params = document.params
    found: list[str] = []
    if params.get("run_id") and params.get("event_id"):
        found.append(f"{params['run_id']}_{params['event_id']}")  # as in IceCube's JSON notices
    found.extend(params[one] for one in ("Burst_Id", "TrigID", "AMON_ID") if params.get(one))
    if mission.name == "INTEGRAL" and found and _is_number(found[0]):
        # the number of the notice within the trigger stands in the upper bits
        found.insert(0, str(int(found[0]) % _SUBNUMBERS))
    found.extend(params[one] for one in ("event_name", "EventName") if params.get(one))
    return tuple(dict.fromkeys(found)) or (document.local or "(unnamed)",)


def _is_number(text: str) -> bool:
    """Whether it is one that `int` takes: not of thousands of digits, nor of superscripts."""
    return text.isascii() and text.isdigit() and len(text) <= _LONG_NUMBER


def _alert_type(document: _Document) -> str:
    cited = {one.get("cite") for one in _descend(document.root, ("EventIVORN",))}
    if "retraction" in cited or document.flag("Retraction") or document.flag("Def_NOT_a_GRB"):
        return "RETRACTION"
    rev = number(document.params.get("Rev"))
    return "UPDATE" if cited or rev or _LATER.search(document.local) else "INITIAL"


def _is_test(document: _Document) -> bool:
    flags = ("Test", "InternalTest", "Test_Submission", "Test_Notice")
    named = re.search(r"(^|_)test(_|$)", document.local, re.IGNORECASE)
    return document.root.get("role") == "test" or bool(named) or any(map(document.flag, flags))


def _place(document: _Document) -> tuple[float, float, float | None] | None:
    """Position and radius of its error [deg]; 0 is what missions write who do not know it."""
    frame = next(_descend(document.root, ("AstroCoordSystem",)), None)
    if frame is not None and not re.search(r"FK5|ICRS", frame.get("id") or "FK5"):
        raise DecodeError(
            f"its position is in {frame.get('id')!a:.40}; FK5 and ICRS are understood"
        )
    found = position_of(document.text("Value2", "C1"), document.text("Value2", "C2"))
    if found is None:
        return None
    error = number(document.text("Error2Radius"))
    return *found, error if error is not None and error > 0 else None


def _rate(document: _Document) -> float | None:
    """False alarm rate [Hz]."""
    for one in _descend(document.root, ("Param",)):
        if (one.get("name") or "").upper() == "FAR":
            rate = number(one.get("value"))
            yearly = "yr" in (one.get("unit") or "").lower()
            return rate / _YEAR_SECONDS if rate is not None and yearly else rate
    return None
