"""Notices as JSON documents: read within bounds, and what they say, whatever their spelling."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ampelstream.codecs.jsonfault import json_fault
from ampelstream.codecs.jsonsize import has_more_values
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes

__all__ = ["content_digest", "parsed", "read_notice"]

T = TypeVar("T")
_MANY_VALUES = 100_000
"""How many values a notice may have; they have some hundred."""


def parsed(value: bytes, what: str, decode: Callable[[bytes], T]) -> T:
    """Decode a document.

    Parameters
    ----------
    value
        The JSON document.
    what
        What it should be, for the message.
    decode
        Of msgspec.

    Raises
    ------
    DecodeError
        It is not that; says where it is wrong.
    """
    try:
        return decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not {what}: {json_fault(value, error)}") from error


def read_notice(value: bytes, what: str, decode: Callable[[bytes], T]) -> T:
    """Do the same with a notice, which may not be so large that it fills the memory."""
    if has_more_values(value, _MANY_VALUES):
        raise DecodeError(f"not {what}: it has more than {_MANY_VALUES} values")
    return parsed(value, what, decode)


def _plain(value: Any) -> Any:
    """Value in which each number has one spelling (1.0 is 1, as in JavaScript)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def content_digest(content: Any, what: str) -> str:
    """Digest of what a document says, whatever its white space, order of keys and escapes.

    Brokers and archives write notices anew: such a copy is known, and not a new revision.

    Parameters
    ----------
    content
        The document, decoded.
    what
        What it should be, for the message.

    Raises
    ------
    DecodeError
        It is nested too deeply, or holds a text that is none.
    """
    try:
        spelled = json.dumps(_plain(content), sort_keys=True, separators=(",", ":"))
        return digest_bytes(spelled.encode())
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not {what}: {error}") from error
