"""An alert that passed a filter, with all the datapoints of its packet."""

import msgspec

from ampelstream.model.alertfacts import Fact
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.lightcurve import Datapoint

__all__ = ["Detection"]


class Detection(msgspec.Struct, frozen=True):
    """What ingest hands to the objects.

    Attributes
    ----------
    object_id, survey, candid
        Which object, whose, and which of its detections.
    jd, ra, dec
        Of that detection [JD UTC; deg, ICRS].
    channels
        Names of the channels that accepted the alert, sorted.
    where
        Coordinates of the alert's record.
    datapoints
        The alert's own detection, its history, and forced photometry.
    filters
        Digest of the filters that accepted it (``Topology.filters``).
    backfill
        Whether the alert is filtered anew, after a change of the filters.
    facts
        Fields of the alert's own detection that units of the topology ask for.
    """

    object_id: str
    survey: str
    candid: int
    jd: float
    ra: float
    dec: float
    channels: tuple[str, ...]
    where: Coordinates
    datapoints: tuple[Datapoint, ...]
    filters: str = ""
    backfill: bool = False
    facts: dict[str, Fact] = {}
