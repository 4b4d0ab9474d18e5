"""Which part of a light curve is drawn: the transient, not all limits of the months before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ampelstream.model.display import counted
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.brightness import Luminosity

__all__ = ["Frame", "Mark", "Zoomed", "mark_of", "zoom"]

_LEAST_BEFORE, _MOST_BEFORE = 2.0, 20.0
"""Days shown before the first detection: half of what the transient lasts, within these; and back
to the last limit, if that is not longer ago than the larger one."""
_BELOW = 1.5
"""Limits stand as deep as this below the faintest detection [mag], or as the curve is high."""
_LEAST_HEIGHT = 0.5
"""Of the frame [mag]."""
_LARGEST_ERROR = 0.75
"""Of error bars, so much counts for the height of the frame [mag]."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A datapoint that can be drawn.

    Attributes
    ----------
    point
        The datapoint.
    day
        Days since the trigger, or since the first detection.
    brightness
        Its magnitude or its limit [AB mag], corrected for extinction where that is known; None of
        a source that is fainter than in the reference, which has no brightness.
    error
        Of the magnitude, 1 sigma.
    """

    point: Datapoint
    day: float
    brightness: float | None
    error: float

    @property
    def negative(self) -> bool:
        """Whether it is fainter than the reference image."""
        return self.brightness is None

    @property
    def is_limit(self) -> bool:
        """Whether nothing was measured, down to a limit."""
        return self.point.mag is None


def mark_of(point: Datapoint, origin: float, luminosity: Luminosity) -> Mark | None:
    """Make a mark; None where the datapoint has neither a finite magnitude nor a limit."""
    value = point.mag if point.mag is not None else point.limmag
    if value is None or not math.isfinite(value) or not math.isfinite(point.jd):
        return None
    error = point.magerr if point.mag is not None and point.magerr is not None else 0.0
    error = abs(error) if math.isfinite(error) else 0.0
    negative = point.mag is not None and point.positive is False
    brightness = None if negative else value - luminosity.extinction(point.band)
    return Mark(point, point.jd - origin, brightness, error)


@dataclass(frozen=True, slots=True)
class Frame:
    """The part that is drawn: days, and magnitudes from the bright end to the faint one."""

    first: float
    last: float
    bright: float
    faint: float


@dataclass(frozen=True, slots=True)
class Zoomed:
    """What is drawn.

    Attributes
    ----------
    frame
        The part.
    marks
        Those in it.
    remark
        What was left out, in words; empty where all is there.
    """

    frame: Frame
    marks: Sequence[Mark]
    remark: str


def zoom(marks: Sequence[Mark], *, has_trigger: bool) -> Zoomed:
    """Choose the part of a light curve that shows the transient.

    Every detection is in it, and the trigger. Limits count from some days before the first of them
    on; one that is brighter than all detections says nothing of them and is left out, one that is
    much deeper stands at the lower edge.

    Parameters
    ----------
    marks
        At least one.
    has_trigger
        Whether day 0 is a trigger, which is shown.
    """
    first, last = _days(marks, has_trigger=has_trigger)
    near = [mark for mark in marks if first <= mark.day <= last]
    bright, faint, floor = _magnitudes(near)
    drawn = [
        mark
        for mark in near
        if mark.brightness is None or not mark.is_limit or mark.brightness >= bright
    ]
    deep = sum(mark.is_limit and (mark.brightness or 0.0) > floor for mark in drawn)
    away, shallow = len(marks) - len(near), len(near) - len(drawn)
    parts = [
        f"{counted(away, 'datapoint')} outside of the time shown" if away else "",
        f"{counted(shallow, 'limit')} brighter than all detections" if shallow else "",
    ]
    left_out = " and ".join(part for part in parts if part)
    remarks = [
        f"Not drawn: {left_out}." if left_out else "",
        f"{counted(deep, 'limit is', 'limits are')} deeper than drawn, at the lower edge."
        if deep
        else "",
    ]
    room = max(0.06 * (faint - bright), (_LEAST_HEIGHT - (faint - bright)) / 2)
    frame = Frame(first, last, bright - room, faint + room)
    return Zoomed(frame, drawn, " ".join(remark for remark in remarks if remark))


def _days(marks: Sequence[Mark], *, has_trigger: bool) -> tuple[float, float]:
    seen = [mark for mark in marks if not mark.is_limit]
    days = [mark.day for mark in seen or marks] + ([0.0] if has_trigger else [])
    first, last = min(days), max(days)
    lasts = last - first
    before = min(max(lasts / 2, _LEAST_BEFORE), _MOST_BEFORE) if seen else 0.0
    begin = first - max(before, 0.04 * lasts, 0.1)
    # the last look before it was there says when it began
    looks = [m.day for m in marks if first - _MOST_BEFORE <= m.day < first]
    begin = min(begin, max(looks, default=first) - 0.04 * lasts - 0.1)
    return begin, last + max(0.06 * lasts, 0.1)


def _magnitudes(marks: Sequence[Mark]) -> tuple[float, float, float]:
    """Brightest and faintest that is drawn, and the depth below which limits stand at the edge."""
    seen = [(m.brightness, m.error) for m in marks if not m.is_limit and m.brightness]
    limits = [m.brightness for m in marks if m.is_limit and m.brightness]
    if not seen:
        values = limits or [20.0, 21.0]  # only negative subtractions: any axis will do
        return min(values), max(values), max(values)
    bright = min(value - min(error, _LARGEST_ERROR) for value, error in seen)
    faint = max(value + min(error, _LARGEST_ERROR) for value, error in seen)
    floor = faint + max(_BELOW, faint - bright)
    deepest = max(limits, default=faint)
    return bright, min(max(deepest, faint), floor), floor
