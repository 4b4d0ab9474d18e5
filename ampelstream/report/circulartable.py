"""Candidates as a plain table, in the style of the circulars of neutrino follow-ups."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ampelstream.model.display import printable

__all__ = ["circular_table"]

_HEADS = ("Event", "Name", "RA [deg]", "Dec [deg]", "First", "Last", "Level", "In 90 %")
_DASH = "-"
_NINETY = 0.9
_CELL = 60

_Row = Mapping[str, Any]


def circular_table(rows: Iterable[_Row], *, event_id: str = "", others: bool = False) -> list[str]:
    """Lines of a table: name, place, first and last magnitude, credible level.

    Parameters
    ----------
    rows
        Candidates, as ``candidates.ndjson`` has them.
    event_id
        Only those of this event; empty for all.
    others
        Also those that lie outside now, or whose event was retracted.

    Returns
    -------
    list of str
        First the names of the columns; empty where there is no candidate.
    """
    chosen = [
        one
        for one in rows
        if event_id in {"", one.get("event_id")} and (others or one.get("status") == "active")
    ]
    chosen.sort(key=lambda one: (str(one.get("event_id")), _level(one) or 0.0, one["object_id"]))
    if not chosen:
        return []
    cells = [_HEADS, *(tuple(printable(part, _CELL) for part in _cells(one)) for one in chosen)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADS))]
    lines = [
        "| " + " | ".join(one.ljust(width) for one, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|-" + "-|-".join("-" * width for width in widths) + "-|"
    return [lines[0], rule, *lines[1:]]


def _cells(row: _Row) -> tuple[str, ...]:
    detections = [
        one
        for one in row.get("lightcurve", ())
        if one.get("mag") is not None and one.get("positive") is not False
    ]
    detections.sort(key=lambda one: float(one["jd"]))
    level = _level(row)
    return (
        str(row.get("event_id") or _DASH),
        str(row["object_id"]),
        _degrees(row.get("ra"), ".5f"),
        _degrees(row.get("dec"), "+.5f"),
        _magnitude(detections[:1], row.get("t0_jd")),
        _magnitude(detections[-1:], row.get("t0_jd")),
        _DASH if level is None else f"{100 * level:.1f} %",
        _DASH if level is None else "yes" if level <= _NINETY else "no",
    )


def _degrees(value: Any, form: str) -> str:
    return _DASH if value is None else format(float(value), form)


def _magnitude(points: Sequence[_Row], t0: Any) -> str:
    """Magnitude [AB], band, and days after the trigger."""
    if not points:
        return _DASH
    [point] = points
    text = f"{point['mag']:.2f} {point.get('band') or '?'}"
    return text if t0 is None else f"{text} ({point['jd'] - t0:+.2f} d)"


def _level(row: _Row) -> float | None:
    """Credible level that `SkyMapProbability` found, whatever its name in the channel."""
    for result in row.get("results", ()):
        body = result.get("body") or {}
        if isinstance(body.get("cumprob"), int | float):
            return float(body["cumprob"])
    return None
