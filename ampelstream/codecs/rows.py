"""Rows of tables: alerts that somebody has decoded already."""

from collections.abc import Mapping, Sequence
from typing import Any

from ampelstream.errors import DecodeError

__all__ = ["records_of"]


def records_of(row: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """Records of a list in a row, without those that are null; none where there is no list.

    Raises
    ------
    DecodeError
        It is no list of records.
    """
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise DecodeError(f"{name} is not a list")
    entries = [entry for entry in value if entry is not None]
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise DecodeError(f"{name} holds something else than records")
    return entries
