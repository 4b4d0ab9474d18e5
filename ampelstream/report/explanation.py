"""Why a candidate scored what it scored: the parts of a score, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.report.markup import Markup, element, join, value_cell
from ampelstream.report.quantities import is_number, number

__all__ = ["EXPLAINED", "draw_why", "has_why"]

EXPLAINED = frozenset({"why", "rejects", "corrections"})
"""Keys of a score that this part of the card shows, so that the table of results need not."""


def has_why(result: UnitResult) -> bool:
    """Whether the result says how its score came about."""
    why = None if result.body is None else result.body.get("why")
    return (
        isinstance(why, Sequence)
        and not isinstance(why, str)
        and all(isinstance(part, Mapping) for part in why)
    )


def draw_why(candidate: Candidate) -> Markup | None:
    """Tables of all scores of the candidate that explain themselves; None without any."""
    parts = [_explanation(result) for result in candidate.results if has_why(result)]
    return join(parts) if parts else None


def _explanation(result: UnitResult) -> Markup:
    body = result.body or {}
    rows, total = _waterfall(list(body["why"]))
    foot = element(
        "tr",
        element("th", "Total", scope="row"),
        element("td", number(total), class_="num"),
        element("td", colspan=2),
    )
    table = element(
        "table",
        element("caption", f"Why it scored what it scored ({result.name})"),
        element(
            "thead",
            element(
                "tr",
                element("th", "Part", scope="col"),
                element("th", "Points", scope="col", class_="num"),
                element("th", "Running total", scope="col", class_="steps"),
                element("th", "Because", scope="col"),
            ),
        ),
        element("tbody", join(rows)),
        element("tfoot", foot),
        class_="why",
    )
    notes = [
        _note(
            "Noted (AMPEL's rejects; no points, and nothing was rejected for them)", _noted(body)
        ),
        _note("Corrections", body.get("corrections")),
    ]
    return element("div", element("div", table, class_="scroll"), *notes, class_="explanation")


def _note(name: str, value: Any) -> Markup | None:
    if not value:
        return None
    return element("p", element("strong", f"{name}: "), value_cell(value), class_="note")


def _noted(body: Mapping[str, Any]) -> list[Any]:
    """What was noted against a candidate, without the points for its position: they are above."""
    rejects = body.get("rejects")
    if not isinstance(rejects, Sequence) or isinstance(rejects, str):
        return []
    return [one for one in rejects if isinstance(one, str)]


def _points(part: Mapping[str, Any]) -> float:
    points = part.get("points")
    return float(points) if points is not None and is_number(points) else 0.0


def _waterfall(parts: Sequence[Mapping[str, Any]]) -> tuple[list[Markup], float]:
    """One row a part, each bar beginning where the one before ended."""
    levels = [0.0]
    for part in parts:
        levels.append(levels[-1] + _points(part))
    low, high = min(levels), max(levels)
    span = (high - low) or 1.0
    rows = []
    for part, start, end in zip(parts, levels, levels[1:], strict=False):
        left = 100 * (min(start, end) - low) / span
        bar = element(
            "span",
            class_="step down" if end < start else "step",
            style=f"left:{left:.2f}%;width:{100 * abs(end - start) / span:.2f}%",
        )
        points = _points(part)
        rows.append(
            element(
                "tr",
                element("th", str(part.get("part", "")), scope="row"),
                element("td", f"{points:+g}" if points else "0", class_="num"),
                element("td", bar if points else None, class_="steps"),
                element("td", str(part.get("text", ""))),
                class_=None if points else "zero",
            )
        )
    return rows, levels[-1]
