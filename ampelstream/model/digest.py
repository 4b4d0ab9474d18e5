"""Short, stable digests: the same content gives the same name on every machine."""

import hashlib
from typing import Any

import msgspec

__all__ = ["digest", "digest_bytes"]

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def digest_bytes(data: bytes) -> str:
    """Give 16 hex digits (64 bits of BLAKE2b) for ``data``."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def digest(content: Any) -> str:
    """Give 16 hex digits for plain data (mappings, sequences, numbers, strings, structs).

    Mappings are taken in key order, so that two spellings of the same configuration agree.
    """
    return digest_bytes(_ENCODER.encode(content))
