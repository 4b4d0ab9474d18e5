"""ZTF alert packets of every schema version."""

from ampelstream.codecs.ztf.datapoints import datapoints
from ampelstream.codecs.ztf.packet import SCHEMAS, ZtfBatch, decode, decode_container

__all__ = ["SCHEMAS", "ZtfBatch", "datapoints", "decode", "decode_container"]
