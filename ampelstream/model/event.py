"""Multi-messenger triggers: what one notice says, and the revisions of an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from ampelstream.model.times import jd_from_iso

__all__ = ["KNOWN_KEYS", "EventRevision", "ExternalCoincidence", "Notice"]


_STAGES = {"EARLYWARNING": 0, "PRELIMINARY": 1, "INITIAL": 2, "UPDATE": 3, "RETRACTION": 4}
"""In the order in which an event goes through them."""
KNOWN_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "classification": ("BNS", "NSBH", "BBH", "Terrestrial"),
        "properties": ("HasNS", "HasRemnant", "HasMassGap", "HasSSM"),
    }
)
"""Keys that notices are known to use in the fields of an event that may have any (LVK's user guide,
https://emfollow.docs.ligo.org/userguide/content.html)."""


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
        The superevent (``"S240114aj"``).
    kind
        ``"gw"``.
    alert_type
        EARLYWARNING, PRELIMINARY, INITIAL, UPDATE or RETRACTION.
    time_created
        When the notice was made, ISO 8601, UTC.
    t0_jd
        Trigger time, Julian date [d, UTC]; None in a retraction.
    far
        False alarm rate [Hz].
    classification, properties
        Probabilities (BNS, NSBH, BBH, Terrestrial; HasNS, HasRemnant, ...).
    skymap_digest
        Digest of the sky map that the notice carries; empty without one.
    content_digest
        Digest of what the whole notice says (of JSON whatever its spelling; else of its bytes).
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

    @property
    def key(self) -> tuple[float, int, bool, str]:
        """Sort key, for the latest to be last.

        Notices are dated to the second, and several may be made within one. Then the stage of the
        event tells which is later, and a notice with an external coincidence is later than one
        without; at last the content, so that ties are stable.
        """
        return (
            jd_from_iso(self.time_created),
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
        return f"{self.time_created}-{self.alert_type}{external}-{self.content_digest[:8]}"

    @property
    def is_retraction(self) -> bool:
        """Whether the notice withdraws the event."""
        return self.alert_type == "RETRACTION"

    def facts(self) -> dict[str, Any]:
        """Plain mapping of the fields, for event selection and display."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


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
    """

    revision: EventRevision
    skymap: bytes = b""
    combined_skymap: bytes = b""
    remarks: tuple[str, ...] = ()
