"""What a JSON document says, whatever its spelling."""

import json
from typing import Any

import msgspec

from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes

__all__ = ["content_digest"]


def _plain(value: Any) -> Any:
    """Value in which each number has one spelling (1.0 is 1, as in JavaScript)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def content_digest(value: bytes, what: str) -> str:
    """Digest of what a document says, whatever its white space, order of keys and escapes.

    Brokers and archives write notices anew: such a copy is known, and not a new revision.

    Parameters
    ----------
    value
        The JSON document.
    what
        What it should be, for the message.

    Raises
    ------
    DecodeError
        It is no JSON.
    """
    try:
        content = _plain(msgspec.json.decode(value))
        return digest_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DecodeError(f"not {what}: {error}") from error
