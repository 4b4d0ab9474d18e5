"""Merging of datapoints: a union by id that any order and any repetition leave the same.

Forced photometry has ids of its own, which may be numbers that detections have, too.

Two packets may hold the same datapoint in different versions: an alert's own detection has fields
that the entry in a later packet's history lacks. The fuller version wins, by a total order that
does not depend on which came first. The stored set keeps every datapoint; superseded ones are left
out when the light curve is made, so that merging stays a plain union.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

import msgspec

from ampelstream.model.lightcurve import Datapoint, LightCurve, places_of
from ampelstream.model.position import robust_position

__all__ = ["SAME_POSITION_PIXELS", "light_curve", "merge_datapoints", "odd_magnitude"]

SAME_POSITION_PIXELS = 2.0
"""Detections of one exposure closer than this on the chip [pixel] are the same source, measured
twice. ZTF's pixels are 1.01 arcsec, its PSF two of them."""

BRIGHTEST, FAINTEST = -27.0, 35.0
"""No magnitude lies beyond these: the Sun has -26.8, and the deepest images ever taken reach 31."""

_encode = msgspec.msgpack.Encoder().encode


_exposure: Callable[[Datapoint], tuple[float, int, bool]] = attrgetter("jd", "fid", "forced")


def _is_fuller(point: Datapoint, other: Datapoint) -> bool:
    """Whether one version of a datapoint ranks higher than another.

    An own detection does, then what has more fields, then what is larger in bytes.
    """
    if point.own != other.own:
        return point.own
    missing = [msgspec.structs.astuple(one).count(None) for one in (point, other)]
    if missing[0] != missing[1]:
        return missing[0] < missing[1]
    return _encode(point) > _encode(other)


def merge_datapoints(
    known: Iterable[Datapoint], fresh: Iterable[Datapoint]
) -> tuple[Datapoint, ...]:
    """Union by id.

    Parameters
    ----------
    known, fresh
        Datapoints of one object, in any order, with any repetition.

    Returns
    -------
    tuple of Datapoint
        One for each id, sorted by id; forced photometry behind all else.
    """
    found: dict[int, Datapoint] = {}
    forced: dict[int, Datapoint] = {}
    for point in known:
        (forced if point.forced else found)[point.id] = point
    for point in fresh:
        merged = forced if point.forced else found
        other = merged.setdefault(point.id, point)
        if other is not point and other != point and _is_fuller(point, other):
            merged[point.id] = point
    return (*map(found.__getitem__, sorted(found)), *map(forced.__getitem__, sorted(forced)))


def _same_position(one: Datapoint, other: Datapoint) -> bool:
    """Whether two points of one exposure lie at the same position on the same readout channel."""
    if one.rcid is not None and other.rcid is not None and one.rcid != other.rcid:
        return False
    if one.xpos is None or one.ypos is None or other.xpos is None or other.ypos is None:
        return True  # an upper limit has no position of its own: it stands for the whole channel
    return (
        abs(one.xpos - other.xpos) <= SAME_POSITION_PIXELS
        and abs(one.ypos - other.ypos) <= SAME_POSITION_PIXELS
    )


def light_curve(
    object_id: str,
    datapoints: Iterable[Datapoint],
    anchors: Sequence[tuple[float, float]] = (),
) -> LightCurve:
    """Light curve without what later processing superseded.

    Of points with the same jd and fid at the same position on the chip, the one that was processed
    last stands: the survey numbers its products upwards, so that is the larger identifier. A
    detection supersedes an upper limit of the same exposure. Forced photometry supersedes, and is
    superseded by, forced photometry only: which of both is for what, the views of `LightCurve` say.

    Parameters
    ----------
    object_id
        The survey's identifier.
    datapoints
        All points of the object, one for each id.
    anchors
        Places (ra, dec) [deg] that say where the object is, in the order of time; without any, the
        detections do.
    """
    points = tuple(datapoints)
    if len(set(map(_exposure, points))) == len(points):
        return _placed(object_id, points, anchors)
    exposures: dict[tuple[float, int, bool], list[Datapoint]] = {}
    for point in points:
        exposures.setdefault(_exposure(point), []).append(point)
    standing: list[Datapoint] = []
    for same in exposures.values():
        if len(same) == 1:
            standing.append(same[0])
            continue
        same.sort(key=lambda p: (p.mag is not None, abs(p.id), p.id), reverse=True)
        kept: list[Datapoint] = []
        for point in same:
            if not any(_same_position(point, other) for other in kept):
                kept.append(point)
        standing.extend(kept)
    return _placed(object_id, standing, anchors)


def _placed(
    object_id: str, points: Sequence[Datapoint], anchors: Sequence[tuple[float, float]]
) -> LightCurve:
    return LightCurve(object_id, points, robust_position(anchors, places_of(points)))


def odd_magnitude(datapoints: Sequence[Datapoint]) -> str:
    """What is odd about the magnitude of an alert's own detection; empty where nothing is.

    Parameters
    ----------
    datapoints
        Those of the alert's packet.

    Returns
    -------
    str
        ``"none"`` where it has no magnitude (NaN; of Rubin also a flux within the noise), and
        ``"impossible"`` where it has one that nothing in the sky has, such as 1e38 or -999.
    """
    own = next((point for point in reversed(datapoints) if point.own), None)
    if own is None:
        return ""
    if own.mag is None:
        return "none"
    return "" if BRIGHTEST <= own.mag <= FAINTEST else "impossible"
