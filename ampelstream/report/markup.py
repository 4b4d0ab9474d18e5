"""HTML and SVG elements in which text is escaped unless it is known to be markup.

Object identifiers, reasons and unit results come from outside. ``element`` escapes every plain
string; only a ``Markup``, which nothing but this package makes, goes in as it is.
"""

import html
import math
import re
from collections.abc import Iterable

from ampelstream.model.display import LINE, shortened

__all__ = ["Markup", "element", "fixed", "join", "text"]

# Control characters and lone surrogates are not allowed in HTML; direction overrides would let an
# identifier display as another one; zero-width characters would let two look the same.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u2069\ufeff]"
)
_VOID = frozenset({"br", "hr", "input", "meta"})

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
        raise ValueError(f"a drawing has no place for {value}")
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
