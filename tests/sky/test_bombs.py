"""Maps that stand for more than they are: refused by name, and in bounded memory."""

import gzip
import time
from collections.abc import Callable

import pytest

from ampelstream.codecs import fitsmap
from ampelstream.errors import AmpelstreamError, SkyMapError
from ampelstream.sky.fits import read_fits
from tests.bombs import empty, flat_map, gzipped, run_alone, smooth, zeros

GIB = 1 << 30


def header_and_zeros() -> bytes:
    """The headers of a map of NSIDE 1024, and zeros for ever."""
    pieces = flat_map(1024, empty)
    head = next(pieces) + next(pieces)
    return gzipped(iter([head, *zeros(3 * GIB)]))


def image_in_front() -> bytes:
    """A picture of a gigabyte, and no table behind it."""
    header = b"".join(
        card.ljust(80)
        for card in (
            b"SIMPLE  =                    T",
            b"BITPIX  =                    8",
            b"NAXIS   =                    1",
            b"NAXIS1  =           1073741824",
            b"END",
        )
    )
    return gzipped(iter([header.ljust(2880), *zeros(GIB)]))


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a gigabyte of zeros": (lambda: gzipped(zeros(GIB)), "which is not FITS"),
    "a map of zeros": (header_and_zeros, "probability of the whole sky is 0"),
    "NSIDE 4096 of zeros": (lambda: gzipped(flat_map(4096, empty)), "NSIDE = 4096; .* up to 2048"),
    "an image of a gigabyte": (image_in_front, "no HEALPix table"),
}
READ = """
import time
from ampelstream.codecs import fitsmap
from ampelstream.errors import AmpelstreamError
from ampelstream.sky.fits import read_fits
began = time.perf_counter()
said = []
for read in (read_fits, fitsmap.decode):
    try:
        found = read(inputs[0], "night.fits.gz")
        said.append(f"{len(found[1].order)} tiles" if read is read_fits else "a notice")
    except AmpelstreamError as error:
        said.append(str(error))
say = said.append
said = [f"{time.perf_counter() - began:.1f} s; " + "; ".join(said)]
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused_in_seconds_and_in_little_memory(case: str) -> None:
    build, message = BOMBS[case]
    data = build()
    assert len(data) < 40 << 20
    began = time.perf_counter()
    with pytest.raises(SkyMapError, match=message):
        read_fits(data, "night.fits.gz")
    assert time.perf_counter() - began < 10
    said, before, after = run_alone(READ, data, seconds=60)
    assert after - before < 150, said


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("ring", [False, True])
def test_nside_2048_with_distances_passes(*, ring: bool) -> None:
    data = gzipped(flat_map(2048, smooth(2048), ring=ring))
    said, before, after = run_alone(READ, data, seconds=120)
    assert "49152 tiles" in said
    assert "a notice" in said
    assert after - before < 250, said


def test_a_file_that_is_no_map_is_no_notice_either() -> None:
    with pytest.raises(
        AmpelstreamError, match=r"x.fits.gz is truncated or damaged \(OSError: it inflates to"
    ):
        fitsmap.decode(gzip.compress(bytes(4 << 20)), "x.fits.gz")


def test_a_gzip_file_whose_checksum_is_wrong_is_damaged() -> None:
    data = bytearray(gzipped(flat_map(32, smooth(32, 2))))
    assert len(read_fits(bytes(data), "map")[1].order) == 192
    data[-6] ^= 1
    with pytest.raises(SkyMapError, match=r"truncated or damaged.*CRC"):
        read_fits(bytes(data), "map")
