"""Bytes to model and back: ZTF alerts, IGWN notices, our own Avro schemas."""
