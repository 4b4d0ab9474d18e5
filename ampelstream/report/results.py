"""Unit results as tidy tables of names and values, whatever their shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import DASH, number

__all__ = ["key_values", "value_cell"]

_MOST_ITEMS = 30
_DEEPEST = 6
_LONGEST = 600
_JULIAN_DATES = (2_000_000.0, 3_000_000.0)


def key_values(content: Mapping[str, Any], depth: int = 0) -> Markup:
    """Table of a mapping; nested mappings and lists become tables within."""
    rows = [
        element(
            "tr",
            element("th", str(key), scope="row"),
            element("td", value_cell(value, str(key), depth)),
        )
        for key, value in content.items()
    ]
    if not rows:
        return element("span", "nothing", class_="muted")
    return element("table", element("tbody", join(rows)), class_="kv")


def value_cell(value: Any, key: str = "", depth: int = 0) -> Markup:
    """Show one value: rounded number, text, list or table."""
    if depth > _DEEPEST:
        return element("span", "nested too deeply to show", class_="muted")
    if isinstance(value, Mapping):
        return key_values(value, depth + 1)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _sequence(value, key, depth)
    return element("span", _scalar(value, key))


def _scalar(value: Any, key: str) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _float(value, key)
    words = str(value)
    return words if len(words) <= _LONGEST else words[:_LONGEST] + " …"


def _float(value: float, key: str) -> str:
    """Four significant digits; Julian dates and positions keep theirs."""
    if _JULIAN_DATES[0] < value < _JULIAN_DATES[1]:
        return f"{value:.5f}"
    if key in {"ra", "dec"} or key.endswith(("_ra", "_dec")):
        return f"{value:.5f}"
    return number(value)


def _sequence(values: Sequence[Any], key: str, depth: int) -> Markup:
    if not values:
        return element("span", "none", class_="muted")
    shown = values[:_MOST_ITEMS]
    rest = len(values) - len(shown)
    more = element("p", f"and {rest} more", class_="muted") if rest else None
    if all(isinstance(one, Mapping) for one in shown):
        return Markup(_records(shown, depth) + (more or ""))
    if any(isinstance(one, Mapping) for one in shown):
        items = [element("li", value_cell(one, key, depth + 1)) for one in shown]
        return Markup(element("ul", join(items)) + (more or ""))
    tail = f", and {rest} more" if rest else ""
    return element("span", ", ".join(_flat(one, key) for one in shown) + tail)


def _flat(value: Any, key: str) -> str:
    """An item of a list in a line, such as ``prob 3``."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return " ".join(_flat(one, key) for one in value[:_MOST_ITEMS])
    return _scalar(value, key)


def _records(values: Sequence[Mapping[str, Any]], depth: int) -> Markup:
    """Mappings with much the same keys, one a row."""
    columns = list(dict.fromkeys(key for one in values for key in one))
    head = join([element("th", str(key), scope="col") for key in columns])
    rows = [
        element(
            "tr",
            join(
                [
                    element("td", value_cell(one[key], str(key), depth + 1) if key in one else DASH)
                    for key in columns
                ]
            ),
        )
        for one in values
    ]
    table = element(
        "table", element("thead", element("tr", head)), element("tbody", join(rows)), class_="rows"
    )
    return element("div", table, class_="scroll")
