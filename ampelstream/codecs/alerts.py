"""Alerts of every survey: one way in, whatever carries them."""

from collections.abc import Mapping
from typing import Any, Protocol

from ampelstream.codecs import ztf
from ampelstream.model.alert import Alert
from ampelstream.model.lightcurve import Datapoint

__all__ = ["Schemas", "datapoints", "decode"]


class Schemas(Protocol):
    """Schemas by their id in a registry."""

    def known(self, schema_id: int) -> Any | None:
        """Parsed schema, or None."""
        ...


def decode(value: bytes | Mapping[str, Any], schemas: Schemas | None = None) -> Alert:  # noqa: ARG001  (soon)
    """Decode an alert."""
    return ztf.decode(value)


def datapoints(alert: Alert) -> list[Datapoint]:
    """Datapoints of an alert: its history, then its own detection.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    return ztf.datapoints(alert)
