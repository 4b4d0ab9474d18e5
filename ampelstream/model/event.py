"""Multi-messenger triggers: what one notice says, and the revisions of an event."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from ampelstream.model.digest import digest_bytes
from ampelstream.model.localisation import Ellipse
from ampelstream.model.times import jd_from_iso

__all__ = [
    "KINDS",
    "KNOWN_KEYS",
    "EventRevision",
    "ExternalCoincidence",
    "Notice",
    "in_order",
    "is_test_superevent",
]

T = TypeVar("T")

KINDS = ("gw", "neutrino", "grb", "xray", "frb", "other")
"""Kinds of events: gravitational wave, neutrino, gamma-ray burst, X-ray transient, fast radio
burst, and what is none of them (a flare of a known source, say)."""

_STAGES = {
    "EARLYWARNING": 0,
    "PRELIMINARY": 1,
    "INITIAL": 2,
    "SUBSEQUENT": 3,
    "UPDATE": 4,
    "RETRACTION": 5,
}
"""In the order in which an event goes through them."""
KNOWN_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "classification": ("BNS", "NSBH", "BBH", "Terrestrial"),
        "properties": ("HasNS", "HasRemnant", "HasMassGap", "HasSSM"),
    }
)
"""Keys that notices are known to use in the fields of an event that may have any (LVK's user guide,
https://emfollow.docs.ligo.org/userguide/content.html)."""


def is_test_superevent(event_id: str, search: str | None = None) -> bool:
    """Whether a superevent is a mock or a test one of LIGO, Virgo and KAGRA.

    GraceDB names real ones S..., those of the mock data challenge MS..., of tests TS...; an alert
    of the challenge also says so in its search, ``MDC``.

    Parameters
    ----------
    event_id
        The superevent, ``"MS181101ab"``.
    search
        As the alert has it.
    """
    return event_id.startswith(("MS", "TS")) or search == "MDC"


class ExternalCoincidence(msgspec.Struct, frozen=True):
    """A second instrument that saw the event, as an IGWN alert reports it.

    Attributes
    ----------
    observatory, search
        Who saw it, and in which search (``"Fermi"``, ``"GRB"``).
    time_difference
        Its time minus the event's [s].
    time_coincidence_far, time_sky_position_coincidence_far
        False alarm rates of the coincidence [Hz].
    notice_id
        GCN notice number, where given.
    ivorn
        VOEvent identifier, where given.
    """

    observatory: str | None = None
    search: str | None = None
    time_difference: float | None = None
    time_coincidence_far: float | None = None
    time_sky_position_coincidence_far: float | None = None
    notice_id: str | None = None
    ivorn: str | None = None


class EventRevision(msgspec.Struct, frozen=True):
    """What one notice says of an event, without its sky map.

    Revisions of an event are ordered by ``key``, never by arrival.

    Attributes
    ----------
    event_id
        The superevent (``"S240114aj"``); else mission and trigger (``"Fermi-726757170"``), by the
        rule in docs/events.md.
    kind
        One of ``KINDS``.
    alert_type
        EARLYWARNING, PRELIMINARY, INITIAL, SUBSEQUENT, UPDATE or RETRACTION.
    time_created
        When the notice was made, ISO 8601, UTC; empty where it does not say.
    t0_jd
        Trigger time, Julian date [d, UTC]; None where the notice does not say, as in an LVK
        retraction.
    far
        False alarm rate [Hz].
    classification, properties
        Of a gravitational wave probabilities (BNS, NSBH, BBH, Terrestrial; HasNS, HasRemnant, ...).
        Of other kinds the classes that the notice names, and all other numbers that it has, under
        its own names and in its own units.
    skymap_digest
        Digest of the sky map that the notice carries, or of the circle or ellipse that one is made
        of; empty without.
    content_digest
        Digest of what the whole notice says (of JSON whatever its spelling; else of its bytes).
    test
        Whether it is a test, an injection, or a mock event.
    mission, instrument, messenger
        Who saw it (``"Fermi"``, ``"GBM"``), and in what (``"EM"``, ``"GW"``, ``"Neutrino"``).
    ids
        All names that the notice has for the trigger, as they stand there.
    ra, dec
        Position [deg, ICRS or FK5 of J2000].
    ra_dec_error
        Radius of its error, or the semi-major axis, as the notice has it [deg].
    containment
        Probability within that error.
    record_number
        Rises with each notice of a trigger, where the mission counts them.
    signalness
        Probability of being astrophysical.
    energy
        Of a neutrino, the likely energy [TeV].
    duration_class
        Of a burst: SHORT or LONG, where the mission says.
    follows
        The event that it was looked for after (``"S230914ak"``).
    skymap_url
        Where its sky map lies, if the notice only names it.
    notes
        What was done with what the notice says, or not said, for people.
    """

    event_id: str
    alert_type: str
    time_created: str
    content_digest: str
    kind: str = "gw"
    t0_jd: float | None = None
    significant: bool | None = None
    far: float | None = None
    group: str | None = None
    pipeline: str | None = None
    search: str | None = None
    instruments: tuple[str, ...] = ()
    classification: Mapping[str, float] = {}
    properties: Mapping[str, float] = {}
    external: ExternalCoincidence | None = None
    url: str | None = None
    skymap_digest: str = ""
    test: bool = False
    mission: str | None = None
    instrument: str | None = None
    messenger: str | None = None
    ids: tuple[str, ...] = ()
    ra: float | None = None
    dec: float | None = None
    ra_dec_error: float | None = None
    containment: float | None = None
    record_number: int | None = None
    signalness: float | None = None
    energy: float | None = None
    duration_class: str | None = None
    follows: str | None = None
    skymap_url: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def made_jd(self) -> float:
        """When the notice was made [JD, UTC], as far as it says.

        Without a time of its own it counts as made at the trigger, and a retraction as the last
        word: whoever withdraws an event does so after all that was said of it.
        """
        if self.time_created:
            return jd_from_iso(self.time_created)
        if self.is_retraction:
            return math.inf
        return self.t0_jd if self.t0_jd is not None else -math.inf

    @property
    def key(self) -> tuple[float, int, bool, str]:
        """Sort key, for the latest to be last.

        Notices are dated to the second, and several may be made within one. Then the stage of the
        event tells which is later, and a notice with an external coincidence is later than one
        without; at last the content, so that ties are stable.
        """
        return (
            self.made_jd,
            _STAGES.get(self.alert_type, 0),
            self.external is not None,
            self.content_digest,
        )

    @property
    def revision_id(self) -> str:
        """Name of the revision, unique within its event: when, what, and what it says.

        For example ``2018-11-01T22:36:25Z-UPDATE-EXT-5f0c9a1e``: an update with an external
        coincidence, and the first digits of the content's digest.
        """
        external = "-EXT" if self.external is not None else ""
        created = self.time_created or "undated"
        return f"{created}-{self.alert_type}{external}-{self.content_digest[:8]}"

    @property
    def is_retraction(self) -> bool:
        """Whether the notice withdraws the event."""
        return self.alert_type == "RETRACTION"

    def facts(self) -> dict[str, Any]:
        """Plain mapping of the fields, for event selection and display.

        What a notice has nothing of is null, a table without entries too: so that
        ``classification == null`` is true of a sky map that somebody fetched by hand.
        """
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("classification", "properties"):
            plain[name] = plain[name] or None
        return plain


def in_order(revisions: Iterable[T], revision: Callable[[T], EventRevision]) -> list[T]:
    """Sort revisions of one event, for the latest to be last.

    Where each of them has a record number that says which is later; otherwise their times do (see
    ``EventRevision.key``). It depends on which revisions there are, never on their arrival.

    Parameters
    ----------
    revisions
        What to sort.
    revision
        Gives the revision of one of them.
    """
    listed = list(revisions)
    numbers = [revision(one).record_number for one in listed]
    counted = all(number is not None for number in numbers)

    def key(one: T) -> tuple[int, tuple[float, int, bool, str]]:
        said = revision(one)
        return ((said.record_number or 0) if counted else 0, said.key)

    return sorted(listed, key=key)


@dataclass(frozen=True, slots=True)
class Notice:
    """A decoded notice.

    Attributes
    ----------
    revision
        What it says.
    skymap
        The FITS file of its sky map; empty without one.
    combined_skymap
        The FITS file of the map combined with an external coincidence; empty without one.
    remarks
        What was left out of it or is odd in it, for people.
    ellipses
        Where it may be, if there is no map: one ellipse, or several of equal probability.
    """

    revision: EventRevision
    skymap: bytes = b""
    combined_skymap: bytes = b""
    remarks: tuple[str, ...] = ()
    ellipses: tuple[Ellipse, ...] = ()

    def with_map(self, data: bytes) -> "Notice":
        """Give the same with a map that it only names."""
        named = msgspec.structs.replace(self.revision, skymap_digest=digest_bytes(data))
        return replace(self, revision=named, skymap=data)

    def with_note(self, text: str) -> "Notice":
        """Give the same with one note more, which is a remark, too."""
        noted = msgspec.structs.replace(self.revision, notes=(*self.revision.notes, text))
        return replace(self, revision=noted, remarks=(*self.remarks, text))
