"""What columns say, as lists of Python values."""

import math
import struct
from typing import Any

from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.batch import packets_of


def same(got: Any, expected: Any) -> bool:
    """Equal, bit by bit where it is a float."""
    if isinstance(expected, float) and isinstance(got, float):
        return struct.pack("<d", got) == struct.pack("<d", expected) or (
            math.isnan(got) and math.isnan(expected)
        )
    return type(got) is type(expected) and bool(got == expected)


def column(columns: Columns, record: str, name: str) -> list[Any] | None:
    kind = columns.kind(record, name)
    if kind is None or kind == "other":
        return None
    if kind == "f8":
        values, null = columns.floats(record, name)
        return [None if n else v for v, n in zip(values.tolist(), null.tolist(), strict=True)]
    if kind == "text":
        rows = packets_of(columns, record) if columns.is_table(record) else range(len(columns))
        begin, size, null = columns.spans(record, name)
        return [
            None if n else columns.values[p][b : b + s].decode()
            for p, b, s, n in zip(rows, begin.tolist(), size.tolist(), null.tolist(), strict=True)
        ]
    whole, null = columns.integers(record, name)
    made = bool if kind == "bool" else int
    return [None if n else made(v) for v, n in zip(whole.tolist(), null.tolist(), strict=True)]
