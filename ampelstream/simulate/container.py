"""Packets as Avro object container files of one record each, as ZTF sends them."""

import hashlib
import io
from typing import Any

import fastavro

from ampelstream.simulate.binary import compiled, encode_long
from ampelstream.simulate.schema import packet_schema

__all__ = ["PacketWriter"]

_SYNC = hashlib.md5(b"ampelstream simulation", usedforsecurity=False).digest()


class PacketWriter:
    """Writes packets; the same packet always gives the same bytes.

    The container's header is made once: it holds the schema, which would otherwise be written out
    as JSON again for every packet. Avro's sync marker, random by custom, is a fixed one.
    """

    def __init__(self) -> None:
        schema = packet_schema()
        empty = io.BytesIO()
        fastavro.writer(empty, schema, [], sync_marker=_SYNC)
        self._header = empty.getvalue()
        self._encode = compiled(schema)

    def encode(self, packet: dict[str, Any]) -> bytes:
        """Give the container file of one packet.

        Parameters
        ----------
        packet
            Fields as in `ampelstream.simulate.schema`.
        """
        record = self._encode(packet)
        block = (encode_long(1), encode_long(len(record)), record, _SYNC)
        return b"".join((self._header, *block))
