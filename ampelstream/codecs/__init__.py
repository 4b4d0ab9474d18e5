"""Bytes to model and back: ZTF and Rubin alerts, IGWN notices, our own Avro schemas."""
