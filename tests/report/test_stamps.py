import struct
import zlib

import numpy as np

from ampelstream.report.stamps import stamp_png


def pixels(png: bytes) -> list[list[int]]:
    width, height = struct.unpack(">II", png[16:24])
    begin = png.index(b"IDAT")
    (size,) = struct.unpack(">I", png[begin - 4 : begin])
    rows = zlib.decompress(png[begin + 4 : begin + 4 + size])
    return [list(rows[row * (width + 1) + 1 : (row + 1) * (width + 1)]) for row in range(height)]


def test_bright_is_white_unknown_is_clear() -> None:
    image = np.arange(100.0).reshape(10, 10)
    image[0, 0] = np.nan
    png = stamp_png(image)
    assert png is not None
    found = pixels(png)
    assert found[0][0] == 0
    assert found[9][9] == 255
    assert found[0][1] == 1
    flat = [one for row in found for one in row][1:]
    assert flat == sorted(flat)


def test_a_flat_image_and_an_unknown_one() -> None:
    png = stamp_png(np.full((3, 4), 7.0))
    assert png is not None
    assert len(set(sum(pixels(png), []))) == 1  # noqa: RUF017  (a few numbers)
    assert stamp_png(np.full((3, 4), np.nan)) is None
