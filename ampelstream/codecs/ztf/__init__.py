"""ZTF alert packets of every schema version."""

from ampelstream.codecs.ztf.datapoints import datapoints
from ampelstream.codecs.ztf.packet import decode, decode_container

__all__ = ["datapoints", "decode", "decode_container"]
