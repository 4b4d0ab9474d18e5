"""Which codec a notice wants: by what it begins with and holds, never by the name of its topic."""

import re
from collections.abc import Mapping
from typing import Any

from ampelstream.codecs import fitsmap, gcn, igwn, voevent
from ampelstream.errors import DecodeError
from ampelstream.model.event import Notice

__all__ = ["decode"]

_BLANK = b"\xef\xbb\xbf \t\r\n"
"""White space, and the mark that some editors put before UTF-8."""
_UNIFIED = re.compile(rb'"(?:\$schema|id|event_name|ref_ID|alert_datetime|trigger_time)"\s*:')


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
    if value.lstrip(_BLANK)[:1] == b"<":
        return voevent.decode(value.lstrip(_BLANK))
    # every notice of GCN's schema names one of these, and no IGWN alert does
    if _UNIFIED.search(value) and b'"superevent_id"' not in value:
        return gcn.decode(value)
    return igwn.decode(value)
