"""Rubin (LSST) alert packets of schemas 7.1 to 11.0."""

from ampelstream.codecs.lsst.datapoints import datapoints
from ampelstream.codecs.lsst.packet import (
    SCHEMAS,
    WIRE_HEAD,
    FixedSchemas,
    RubinBatch,
    Schemas,
    decode,
    decode_container,
    decode_row,
    decode_wire,
    wire_schema_id,
)

__all__ = [
    "SCHEMAS",
    "WIRE_HEAD",
    "FixedSchemas",
    "RubinBatch",
    "Schemas",
    "datapoints",
    "decode",
    "decode_container",
    "decode_row",
    "decode_wire",
    "wire_schema_id",
]
