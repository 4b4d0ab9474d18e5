import base64
import struct
import zlib

import numpy as np
import pytest

from ampelstream.report.png import data_uri, encode


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + content)
        found.append((kind, content))
        at += 12 + length
    return found


def test_decodes_to_the_same_pixels() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
    palette = [(index, 2 * index, 3 * index, 10 * index) for index in range(5)]
    parts = dict(chunks(encode(pixels, palette)))
    assert list(parts) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"]) == (4, 3, 8, 3, 0, 0, 0)
    assert parts[b"PLTE"][6:9] == bytes([2, 4, 6])
    assert parts[b"tRNS"] == bytes([0, 10, 20, 30, 40])
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), dtype=np.uint8).reshape(3, 5)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:] == pixels).all()


def test_refuses_a_colour_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="colour 3 is not in a palette of 2"):
        encode(np.array([[3]], dtype=np.uint8), [(0, 0, 0, 0), (1, 1, 1, 1)])


def test_refuses_what_is_not_a_grid() -> None:
    with pytest.raises(ValueError, match="rows and columns"):
        encode(np.zeros(3, dtype=np.uint8), [(0, 0, 0, 0)])


def test_data_uri_holds_the_image() -> None:
    png = encode(np.zeros((1, 1), dtype=np.uint8), [(0, 0, 0, 0)])
    kind, _, content = data_uri(png).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png
