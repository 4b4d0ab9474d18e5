"""Avro files of many records, cut into packets of one, as they would travel on Kafka."""

import io
from collections.abc import Iterator

import fastavro

from ampelstream.codecs.avro.binary import read_long, span
from ampelstream.codecs.avro.container import metadata, read_header
from ampelstream.codecs.avro.garbage import GARBAGE
from ampelstream.errors import DecodeError

__all__ = ["split_container"]


def _is_packet(data: bytes) -> bool:
    """Whether a container holds one block of one record: then it is a packet already."""
    header = read_header(data)
    if header.body >= len(data):
        return True  # no block at all: the decoder says so
    count, at = read_long(data, header.body)
    _, end = span(data, at)
    return count == 1 and len(data) <= end + 16


def split_container(data: bytes) -> Iterator[bytes]:
    """Give the packets of a container.

    What cannot be split is given whole, for the decoder to say what is wrong with it.

    Parameters
    ----------
    data
        The file.
    """
    try:
        whole = _is_packet(data)
    except DecodeError:
        whole = True
    if whole:
        yield data
        return
    try:
        header = read_header(data)
        meta = metadata(header.key)
        reader = fastavro.reader(io.BytesIO(data))
        schema = reader.writer_schema
        codec = meta.get("avro.codec", b"null").decode()
        for record in reader:
            out = io.BytesIO()
            fastavro.writer(out, schema, [record], codec=codec, sync_marker=bytes(16))
            yield out.getvalue()
    except (DecodeError, *GARBAGE):
        yield data
