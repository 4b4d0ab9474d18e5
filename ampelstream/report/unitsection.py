"""The table of units in the page: how often each ran, and what it failed of."""

from collections.abc import Mapping
from typing import Any

from ampelstream.report.markup import Markup, element, join

__all__ = ["draw_units"]

_HEADS = ("Channel", "Unit", "Runs", "From cache", "Failed", "Most often of")


def draw_units(units: Any) -> Markup | None:
    """Draw the table; None where no unit has run.

    Parameters
    ----------
    units
        ``units`` of ``summary.json``; what is no list of mappings is left out.
    """
    given = units if isinstance(units, list) else []
    shown = [one for one in given if isinstance(one, Mapping) and _was_asked(one)]
    if not shown:
        return None
    always = [f"{one['channel']}/{one['unit']}" for one in shown if one.get("always_fails")]
    words = f"Always failed: {', '.join(always)}."
    rows = [element("tr", join(_cells(one))) for one in shown]
    table = element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in _HEADS))),
        element("tbody", join(rows)),
        class_="rows stacking",
    )
    return element(
        "section",
        element("h3", "Units"),
        element("p", words, class_="notice") if always else None,
        element("div", table, class_="scroll", tabindex=0),
        class_="units",
    )


def _was_asked(one: Mapping[str, Any]) -> bool:
    return bool(one.get("runs") or one.get("cached") or one.get("failed"))


def _cells(one: Mapping[str, Any]) -> list[Markup]:
    numbers = (f"{one.get(name, 0):,}" for name in ("runs", "cached", "failed"))
    channel, _, *counts, reason = _HEADS
    said = str(one.get("reason", ""))
    return [
        element("td", str(one.get("channel", "")), data_label=channel),
        element("td", str(one.get("unit", "")), class_="name"),
        *(
            element("td", number, class_="num", data_label=head)
            for head, number in zip(counts, numbers, strict=True)
        ),
        element("td", said, class_=None if said else "empty", data_label=reason),
    ]
