"""Avro as packets use it: container headers, cached schemas, and skipping without decoding."""
