"""Object x event x channel, with all that the units said of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.lightcurve import Datapoint

__all__ = ["DETECTIONS", "SPOKEN_OF", "Candidate", "CandidateStatus", "Provenance", "UnitResult"]

SPOKEN_OF = (
    *("object_id", "event_id", "channel", "status", "rank", "t0_jd", "ra", "dec"),
    *("scatter_arcsec", "strays"),
)
"""Fields of a candidate that conditions of rules may use, beside `DETECTIONS` and its results."""
DETECTIONS = "detections"
"""What such a condition calls the number of detections in the light curve."""


class CandidateStatus(StrEnum):
    """What a candidate is at its last revision."""

    ACTIVE = "active"
    """Inside the region and window of the event's latest revision."""
    OUTSIDE = "outside"
    """Inside an earlier revision's region or window, but not the latest one's."""
    RETRACTED = "retracted"
    """The event was retracted."""
    REJECTED = "rejected"
    """Had been a candidate until a match filter rejected it: sent downstream, never listed."""


class UnitResult(msgspec.Struct, frozen=True):
    """What one unit said.

    Attributes
    ----------
    name
        Name of the unit's entry in the topology; unique within the channel.
    unit
        Class of the unit.
    version, config_hash, input_digest
        What is needed to compute it again.
    body
        The result; None where the unit failed.
    error
        Why it failed; empty otherwise.
    """

    name: str
    unit: str
    version: str
    config_hash: str
    input_digest: str
    body: Mapping[str, Any] | None = None
    error: str = ""


class Provenance(msgspec.Struct, frozen=True):
    """Where a candidate comes from.

    Attributes
    ----------
    topology, topology_version, topology_hash
        The workflow, by name, version and digest of its validated content.
    lightcurve_digest
        Digest of the datapoints that the units saw.
    event_revision, event_digest
        Revision of the event, by name and by content.
    alerts
        ``candid`` of each alert that the channel accepted for this object, sorted.
    records
        Coordinates of the records that they came in, in the same order, then of the notice.
    """

    topology: str
    topology_version: str
    topology_hash: str
    lightcurve_digest: str
    event_revision: str
    event_digest: str
    alerts: tuple[int, ...] = ()
    records: tuple[Coordinates, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """One revision of a candidate.

    There is no revision counter: the content is a function of the inputs alone, so that the last
    revision is the same in whatever order they arrive.

    Attributes
    ----------
    object_id, event_id, channel
        The key.
    status
        Whether it still counts.
    t0_jd
        Trigger time of the event [JD, UTC].
    ra, dec
        Position of the object [deg, ICRS]: the mean of its detections around the median of its
        accepted alerts (`robust_position`), in the channel's time range or not. It is the one that
        is matched.
    rank
        The number that the channel ranks by, higher first; None without one.
    results
        In the order of the topology; empty unless the status is active.
    lightcurve
        The datapoints that the units saw.
    scatter_arcsec
        Median separation of the object's detections from the position [arcsec].
    strays
        How many of its detections lie farther than 3 arcsec from the position: above 0, they are
        not of one resting source, and what is said of the position is said of a part of them.
    associated
        Objects of other surveys at the same position, whose datapoints are in the light curve.
    """

    object_id: str
    event_id: str
    channel: str
    status: CandidateStatus
    provenance: Provenance
    t0_jd: float | None = None
    ra: float | None = None
    dec: float | None = None
    rank: float | None = None
    results: tuple[UnitResult, ...] = ()
    lightcurve: tuple[Datapoint, ...] = ()
    scatter_arcsec: float | None = None
    strays: int = 0
    associated: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """(event, object, channel): the order of listings."""
        return (self.event_id, self.object_id, self.channel)

    def result(self, name: str) -> Mapping[str, Any] | None:
        """Body of the named unit's result, or None."""
        for one in self.results:
            if one.name == name:
                return one.body
        return None
