"""What is wrong with a JSON document that cannot be read, in words.

Python and other languages write numbers that are none as NaN and Infinity, which are no JSON
(RFC 8259, section 6) and which the decoder only knows as characters that it did not expect.
"""

import re

import msgspec

__all__ = ["json_fault"]

_TOKEN = re.compile(
    rb"""
    "(?P<text>(?:[^"\\]|\\.)*)(?:"|\\?\Z)        # a text is passed over, and remembered as a key
    | (?P<none>[-+]?(?:nan|inf(?:inity)?)\b)     # in any case: Perl and C write them so
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_BEFORE_A_VALUE = {b":", b",", b"["}
_GAP = 64
"""Longest white space before a value that is looked at."""
_LONGEST = 60
"""Characters of a key that are shown."""


def json_fault(data: bytes, error: Exception) -> str:
    """Say what is wrong with a document, and where.

    Parameters
    ----------
    data
        The document.
    error
        What the decoder said of it.
    """
    if isinstance(error, msgspec.ValidationError):  # it is JSON
        return str(error)
    key = b""
    for found in _TOKEN.finditer(data):
        if found["none"] is None:
            key = found["text"]
            continue
        if data[max(found.start() - _GAP, 0) : found.start()].rstrip()[-1:] not in _BEFORE_A_VALUE:
            continue
        line = data.count(b"\n", 0, found.start()) + 1
        what = found["none"].decode("ascii")
        where = f"{key.decode('utf-8', 'replace')!r:.{_LONGEST}}" if key else "its begin"
        return (
            f"it holds {what} (line {line}, byte {found.start()}, at {where}), which is no number "
            "of JSON; whoever writes it must write null there"
        )
    return str(error)
