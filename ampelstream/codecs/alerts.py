"""Alerts of every survey: one way in, whatever carries them."""

from ampelstream.codecs import ztf
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import Datapoint

__all__ = ["datapoints"]


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert: its history, then its own detection.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return ztf.datapoints(alert)
