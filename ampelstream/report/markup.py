"""HTML: elements in which text is escaped, tables of names and values, images as part of the page.

Object identifiers, reasons and unit results come from outside. ``element`` escapes every plain
string; only a ``Markup``, which nothing but this package makes, goes in as it is. ``key_values``
shows a unit's result, whatever its shape. ``encode_png`` and ``data_uri`` make an image that a page
carries in itself: an indexed PNG, eight bits a pixel, a palette with transparency (W3C
Recommendation "Portable Network Graphics (PNG) Specification (Second Edition)", 2003).
"""

import base64
import html
import math
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ampelstream.model.display import LINE, shortened
from ampelstream.report.quantities import DASH, number

__all__ = [
    "Markup",
    "data_uri",
    "element",
    "encode_png",
    "fixed",
    "join",
    "key_values",
    "text",
    "value_cell",
]

# Control characters and lone surrogates are not allowed in HTML; direction overrides would let an
# identifier display as another one; zero-width characters would let two look the same.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2069\ufeff]"
)
_VOID = frozenset({"br", "hr", "img", "input", "meta"})

Attribute = str | float | bool | None


class Markup(str):
    """A string that is already HTML."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Escape ``value`` for use in an element; a text of thousands of characters is cut."""
    if isinstance(value, Markup):
        return value
    return _escaped(shortened(str(value), LINE))


def _escaped(value: str) -> Markup:
    return Markup(html.escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)))


def fixed(value: float, digits: int = 1) -> str:
    """Shortest decimal with at most ``digits`` places: coordinates in a drawing."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    short = f"{value:.{digits}f}"
    if "." in short:
        short = short.rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = fixed(value, 2)
    # not cut: the points of a curve are many
    shown = value if isinstance(value, Markup) else _escaped(str(value))
    return f' {name}="{shown}"'


def element(name: str, /, *children: object, **attributes: Attribute) -> Markup:
    """Make one element.

    Parameters
    ----------
    name
        Its tag.
    children
        Its content; plain strings are escaped, None is left out.
    attributes
        ``class_`` is ``class``, ``text_anchor`` is ``text-anchor``; None and False are left out.
    """
    opening = name + "".join(
        _attribute(key, value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{opening}>")
    inner = "".join([text(child) for child in children if child is not None])
    return Markup(f"<{opening}>{inner}</{name}>")


def join(parts: Iterable[Markup], separator: str = "") -> Markup:
    """Put pieces of markup one after the other; the separator is escaped."""
    return Markup(text(separator).join(parts))


_MOST_ITEMS = 30
_DEEPEST = 6
_LONGEST = 600
_JULIAN_DATES = (2_000_000.0, 3_000_000.0)


def key_values(content: Mapping[str, Any], depth: int = 0) -> Markup:
    """Table of a mapping; nested mappings and lists become tables within."""
    rows = [_key_value(str(key), value, depth) for key, value in content.items()]
    if not rows:
        return element("span", "nothing", class_="muted")
    return element("table", element("tbody", join(rows)), class_="kv")


def _key_value(key: str, value: Any, depth: int) -> Markup:
    """One row; what is a table itself has its name above it, as there is no room beside."""
    cell = value_cell(value, key, depth)
    if _is_table(value):
        head = element("tr", element("th", key, scope="row", colspan=2))
        return Markup(head + element("tr", element("td", cell, colspan=2, class_="inner")))
    short = len(value) <= _SHORT if isinstance(value, str) else not isinstance(value, Sequence)
    return element(
        "tr", element("th", key, scope="row"), element("td", cell, class_="num" if short else None)
    )


def _is_table(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return several and any(isinstance(one, Mapping) for one in value[:_MOST_ITEMS])


_SHORT = 24
"""Characters of a text that is not broken."""


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
        if not value:
            return DASH
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


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3
Colour = tuple[int, int, int, int]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def encode_png(pixels: NDArray[np.uint8], palette: Sequence[Colour]) -> bytes:
    """Encode an image.

    Parameters
    ----------
    pixels
        Index into the palette of each pixel, shape (height, width), top row first.
    palette
        (red, green, blue, alpha), 0 to 255; at most 256 of them.

    Raises
    ------
    ValueError
        The image is not a grid or uses a colour that the palette lacks.
    """
    if pixels.ndim != 2 or not pixels.size:  # noqa: PLR2004  (rows and columns)
        raise ValueError(f"an image has rows and columns, not the shape {pixels.shape}")
    if not 0 < len(palette) <= 256 or int(pixels.max()) >= len(palette):  # noqa: PLR2004  (8 bits)
        raise ValueError(f"colour {int(pixels.max())} is not in a palette of {len(palette)}")
    height, width = pixels.shape
    # Every row is preceded by the number of its filter; 0 is none.
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, _INDEXED, 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in palette)),
            _chunk(b"tRNS", bytes(colour[3] for colour in palette)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def data_uri(png: bytes) -> str:
    """Address under which a page carries the image in itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
