"""Where a record came from."""

import msgspec

__all__ = ["Coordinates"]


class Coordinates(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Address of one record in its source.

    The same triple addresses a Kafka record (topic, partition, offset) and a record of a file
    (path as the user gave it, 0, index of the record counted from 0).
    """

    source: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.source}[{self.partition}]@{self.offset}"
