"""What a source is: records in a fixed order, each with coordinates that never change."""

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from ampelstream.model.record import SourceRecord

__all__ = ["After", "Source", "record_bytes"]

After = Mapping[tuple[str, int], int]
"""(source, partition) -> last offset that has been handled."""


class Source(Protocol):
    """An input.

    Attributes
    ----------
    name
        How the user called it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  (see the class)

    def read(self, after: After) -> Iterator[SourceRecord]:
        """Give the records in a fixed order, without those up to the offsets in ``after``."""
        ...

    def estimate(self) -> int | None:
        """Number of records, where that is cheaply known."""
        ...


def _plain(value: Any) -> Any:
    """Data that JSON can say: bytes in base64, NaN as null."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def record_bytes(record: SourceRecord) -> bytes:
    """Bytes of a record, for the dead letters; a row of a table becomes JSON."""
    if isinstance(record.value, bytes):
        return record.value
    return msgspec.json.encode(_plain(record.value), enc_hook=str)
