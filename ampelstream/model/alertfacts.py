"""What an alert's own packet says of its detection beside the measurement: host, stars, flags."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["AlertFacts", "Fact", "fact"]

Fact = bool | int | float | str | None
"""Value of a field of an alert's own detection; None where it is null, no finite number, or not
there (schemas of different versions have different fields)."""

_LONG = 1 << 63


def fact(value: Any) -> Fact:
    """A value of an alert's field as a fact."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_LONG <= value < _LONG else None
    return value if isinstance(value, float) and math.isfinite(value) else None


class AlertFacts(msgspec.Struct, frozen=True):
    """Fields of an alert's own detection, for units that ask for them.

    Attributes
    ----------
    candid
        Identifier of the detection, which names its datapoint, too.
    jd
        When it was [JD, UTC].
    ra, dec
        Where [deg, ICRS].
    fields
        What the unit asked for (`ObjectUnit.alert_fields`), by the survey's names and in its units
        of measure. None of an alert that was accepted before the topology asked for the field.
    """

    candid: int
    jd: float
    ra: float
    dec: float
    fields: Mapping[str, Fact] = {}
