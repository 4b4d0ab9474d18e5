"""Text from outside, made fit for a terminal, a log or a table.

Object identifiers, event ids, member names and the reasons of errors come from whoever sent the
record. Shown as they are they could move the cursor, forge a line of the log, display as another
identifier, or fill the screen. Everything that is shown to people goes through here; data outputs
(NDJSON, Avro) do not: there, text stays what it was.
"""

import unicodedata

__all__ = ["LINE", "counted", "printable", "printable_lines", "shortened"]

LINE = 2000
"""Most characters of a whole line that we put together, such as a log message."""

_LINES = 200
"""Most lines of a text that may have several; a traceback has fewer."""


def _escape(character: str) -> str:
    r"""The character, or ``\xNN``, ``\uNNNN``, ``\UNNNNNNNN`` where it cannot be shown.

    Python calls printable what is neither a control (C0, C1), nor a format character (direction
    overrides, zero-width ones), nor a surrogate, unassigned or a separator. Of the separators only
    those of lines and paragraphs do harm; spaces of other widths are shown.
    """
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    if code < 0x100:  # noqa: PLR2004  (the range of two hexadecimal digits)
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004  (four digits)


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and what it counts: ``1 alert``, ``2 alerts``; with a verb, both are given."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def printable(text: object, limit: int = 200) -> str:
    r"""One line that shows the text and does nothing else.

    Parameters
    ----------
    text
        What to show; what is no string is shown as its `str`.
    limit
        Most characters of the result, before the remark that it was cut.

    Returns
    -------
    str
        The text, with ``\xNN`` or ``\uNNNN`` for control, format and line-breaking characters and
        lone surrogates. A text that is too long ends with ``… (+N characters)``, where N counts the
        characters of the text that are left out.
    """
    given = str(text)
    if len(given) <= limit and given.isprintable():
        return given
    pieces: list[str] = []
    room = limit
    for character in given[:limit]:
        piece = _escape(character)
        if len(piece) > room:
            break
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces) + _remark(len(given) - len(pieces))


def shortened(text: str, limit: int) -> str:
    """The text, cut as `printable` does; nothing is escaped."""
    return text[:limit] + _remark(len(text) - limit)


def _remark(left: int) -> str:
    return f"… (+{left} characters)" if left > 0 else ""


def printable_lines(text: object, limit: int = LINE, *, indent: str = "") -> str:
    r"""Text of several lines, such as a traceback or a list of problems, each made `printable`.

    Only ``\n`` ends a line. From the second line on each begins with ``indent``: where the message
    of an error may hold text from outside, its lines then cannot be taken for lines of ours.
    Lines in the middle of more than 200 are left out, with a remark.
    """
    lines = str(text).split("\n")
    if len(lines) > _LINES:
        left = len(lines) - _LINES
        half = _LINES // 2
        lines = [*lines[:half], f"… (+{left} lines)", *lines[-half:]]
    return f"\n{indent}".join(printable(line, limit) for line in lines)
