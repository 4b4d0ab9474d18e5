"""One alert packet: its own detection at once, its history only when asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Alert", "History"]


class History(Protocol):
    """The part of a packet that is decoded only when a filter or the state needs it."""

    def epochs(self) -> Sequence[float]:
        """Julian dates [d] of the earlier detections (those with a ``candid``)."""
        ...

    def points(self) -> Sequence[Mapping[str, Any]]:
        """Earlier detections and upper limits, as in the packet.

        ZTF: ``prv_candidates``. Rubin: ``prvDiaSources``, detections only.
        """
        ...

    def forced(self) -> Sequence[Mapping[str, Any]]:
        """Forced photometry, as in the packet; empty where it has none.

        ZTF: ``fp_hists``, since schema 4.01. Rubin: ``prvDiaForcedSources``.
        """
        ...


class Alert:
    """An alert of one detection of one object.

    Attributes
    ----------
    survey
        ``"ztf"`` or ``"lsst"``.
    object_id
        The survey's object identifier (ZTF: ``objectId``; Rubin: ``diaObjectId``, or ``ss`` and the
        ``ssObjectId`` of a solar-system object).
    candid
        Identifier of the detection that raised the alert (Rubin: ``diaSourceId``).
    jd
        Julian date [d, UTC] of that detection.
    ra, dec
        Position of that detection [deg, ICRS].
    candidate
        All fields of that detection, named as the survey names them.
    history
        What the packet says of earlier times; decoded on first use.
    """

    __slots__ = ("candid", "candidate", "dec", "history", "jd", "object_id", "ra", "survey")

    def __init__(
        self,
        *,
        survey: str,
        object_id: str,
        candid: int,
        jd: float,
        ra: float,
        dec: float,
        candidate: Mapping[str, Any],
        history: History,
    ) -> None:
        self.survey = survey
        self.object_id = object_id
        self.candid = candid
        self.jd = jd
        self.ra = ra
        self.dec = dec
        self.candidate = candidate
        self.history = history

    def __repr__(self) -> str:
        return f"Alert({self.survey} {self.object_id} candid={self.candid} jd={self.jd:.5f})"

    def detection_jds(self) -> list[float]:
        """Julian dates [d] of all detections of the packet, the alert's own last."""
        return [*self.history.epochs(), self.jd]
