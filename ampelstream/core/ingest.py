"""First step: an alert is judged by every channel; what passes becomes a detection.

Stateless, so that it may run at full stream rate on as many workers as it takes.
"""

from dataclasses import dataclass

from ampelstream.codecs.alerts import datapoints
from ampelstream.model.alert import Alert
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.topology import Channel, Topology

__all__ = ["Ingested", "ingest"]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of an alert.

    Attributes
    ----------
    detection
        What goes on to the objects; None where no channel accepted the alert.
    rejections
        (channel, reason) for each channel that rejected it, in the topology's order.
    """

    detection: Detection | None
    rejections: tuple[tuple[str, str], ...]


def _rejection(channel: Channel, alert: Alert) -> str:
    """First rule of the channel that rejects the alert; empty where it passes."""
    if channel.survey != alert.survey:
        return "survey"
    if not channel.where.holds(alert.candidate):
        return "where"
    for bound in channel.filters:
        verdict = bound.unit.judge(alert)
        if not verdict.accept:
            return verdict.reason
    return ""


def ingest(topology: Topology, alert: Alert, where: Coordinates) -> Ingested:
    """Judge an alert.

    Parameters
    ----------
    topology
        Its channels judge.
    alert
        Decoded as far as the filters ask; its history is decoded only if a channel accepts it.
    where
        Coordinates of its record.

    Raises
    ------
    DecodeError
        The history cannot be decoded.
    """
    accepted: list[str] = []
    rejections: list[tuple[str, str]] = []
    for channel in topology.channels:
        reason = _rejection(channel, alert)
        if reason:
            rejections.append((channel.name, reason))
        else:
            accepted.append(channel.name)
    if not accepted:
        return Ingested(None, tuple(rejections))
    detection = Detection(
        object_id=alert.object_id,
        survey=alert.survey,
        candid=alert.candid,
        jd=alert.jd,
        ra=alert.ra,
        dec=alert.dec,
        channels=tuple(sorted(accepted)),
        where=where,
        datapoints=tuple(datapoints(alert)),
    )
    return Ingested(detection, tuple(rejections))
