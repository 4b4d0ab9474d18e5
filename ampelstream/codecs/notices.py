"""Which codec a notice wants: an IGWN alert, or a sky map that someone fetched by hand."""

from collections.abc import Mapping
from typing import Any

from ampelstream.codecs import fitsmap, igwn
from ampelstream.errors import DecodeError
from ampelstream.model.event import Notice

__all__ = ["decode"]


def decode(value: bytes | Mapping[str, Any], member: str = "") -> Notice:
    """Decode a notice of any kind that is known.

    Parameters
    ----------
    value
        The bytes of the notice.
    member
        Name of its file, for messages.

    Raises
    ------
    DecodeError
        It is none, or a broken one.
    """
    if not isinstance(value, bytes):
        raise DecodeError("a notice is a JSON document, not a row of a table")
    if fitsmap.is_fits(value):
        return fitsmap.decode(value, member or "(unnamed)")
    if value.lstrip()[:1] == b"<":
        raise DecodeError(f"{member or 'this record'} is XML; VOEvents are not understood yet")
    return igwn.decode(value)
