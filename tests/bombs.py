"""Inputs that stand for far more than they are, made here piece by piece; and what they cost."""

import gzip
import io
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cramjam
import healpy as hp
import numpy as np
from aiokafka.record.util import calc_crc32c, encode_varint
from astropy.io import fits
from numpy.typing import NDArray

COLUMNS = ("PROB", "DISTMU", "DISTSIGMA", "DISTNORM")
WIDTH = 1024
"""Pixels in a row of a table, as healpy writes them."""
_AT_ONCE = 1 << 18

Values = Callable[[NDArray[np.int64]], list[NDArray[Any]]]
"""Of pixels in the NESTED order, a column each."""


def gzipped(pieces: Iterator[bytes], level: int = 1) -> bytes:
    """Pieces as one gzip file, never all of them in memory."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=level, mtime=0) as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def zeros(size: int) -> Iterator[bytes]:
    """So many zero bytes."""
    piece = bytes(1 << 20)
    for done in range(0, size, len(piece)):
        yield piece[: size - done]


def flat_map(
    nside: int,
    values: Values,
    *,
    ring: bool = False,
    columns: Sequence[str] = COLUMNS,
    kind: str = "D",
    **cards: Any,
) -> Iterator[bytes]:
    """A flat map as a FITS file, by default with distances and in double precision."""
    npix = hp.nside2npix(nside)
    yield fits.PrimaryHDU().header.tostring().encode()
    table = fits.BinTableHDU.from_columns(
        [fits.Column(n, f"{WIDTH}{kind}") for n in columns], nrows=0
    )
    header = table.header
    header["NAXIS2"] = npix // WIDTH
    known = {"PIXTYPE": "HEALPIX", "NSIDE": nside, "OBJECT": "S230101a", "COORDSYS": "C"}
    order = {"ORDERING": "RING" if ring else "NESTED", "DATE-OBS": "2023-01-01T00:00:00"}
    header.update({**known, **order, **cards})
    yield header.tostring().encode()
    size = 0
    for first in range(0, npix, _AT_ONCE):
        pixels = np.arange(first, min(first + _AT_ONCE, npix))
        found = values(hp.ring2nest(nside, pixels) if ring else pixels)[: len(columns)]
        rows = np.stack([one.reshape(-1, WIDTH) for one in found], axis=1)
        data = rows.astype(">f8" if kind == "D" else ">f4").tobytes()
        size += len(data)
        yield data
    yield bytes(-size % 2880)


def smooth(nside: int, order: int = 6) -> Values:
    """As of a map that was multi-order once, with tiles of one order that differ from all others.

    Parameters
    ----------
    nside
        Of the map that it is made of.
    order
        HEALPix order of the tiles.
    """
    rng = np.random.default_rng(1)
    n = 12 * 4**order
    probability = rng.lognormal(size=n)
    probability *= 1 / (probability.sum() * (nside >> order) ** 2)
    tiles = [probability, *(rng.uniform(20, 200, n) for _ in COLUMNS[1:])]
    shift = 2 * (int(np.log2(nside)) - order)
    return lambda pixels: [one[pixels >> shift] for one in tiles]


def noisy(nside: int, ra: float, dec: float, width_deg: float) -> Values:
    """Probability of a Gaussian, and one distance, where no two pixels agree: nothing is folded.

    Parameters
    ----------
    nside
        Of the map.
    ra, dec, width_deg
        Where it is, and how wide [deg].
    """
    rng = np.random.default_rng(2)
    centre = hp.ang2vec(ra, dec, lonlat=True)
    scale = hp.nside2pixarea(nside) / (2 * np.pi * np.radians(width_deg) ** 2)

    def values(pixels: NDArray[np.int64]) -> list[NDArray[Any]]:
        away = 1 - np.stack(hp.pix2vec(nside, pixels, nest=True), axis=-1) @ centre
        values = scale * np.exp(-away / np.radians(width_deg) ** 2) + 1e-12
        distance = [np.full(len(pixels), one) for one in (100.0, 20.0, 9e-5)]
        return [values * rng.uniform(0.9, 1.1, len(pixels)), *distance]

    return values


def empty(pixels: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Zeros."""
    return [np.zeros(len(pixels))] * len(COLUMNS)


def _snappy(pieces: Iterator[bytes]) -> bytes:
    """As the Java client writes it: blocks, each with its length."""
    out = [b"\x82SNAPPY\0" + struct.pack("!ii", 1, 1)]
    for piece in pieces:
        block = bytes(cramjam.snappy.compress_raw(piece))
        out += [struct.pack("!i", len(block)), block]
    return b"".join(out)


def _lz4() -> Any:
    """As Kafka's brokers want it."""
    return cramjam.lz4.Compressor(content_checksum=False, block_linked=False)


def _streamed(compressor: Any, pieces: Iterator[bytes]) -> bytes:
    parts = []
    for piece in pieces:
        compressor.compress(piece)
        parts.append(bytes(compressor.flush()))
    return b"".join([*parts, bytes(compressor.finish())])


PACKERS: dict[str, tuple[int, Callable[[Iterator[bytes]], bytes]]] = {
    "none": (0, b"".join),
    "gzip": (1, gzipped),
    "snappy": (2, _snappy),
    "lz4": (3, lambda pieces: _streamed(_lz4(), pieces)),
    "zstd": (4, lambda pieces: _streamed(cramjam.zstd.Compressor(), pieces)),
}
"""Compressions of Kafka: their numbers, and what makes one of pieces."""


def _varint(value: int) -> bytes:
    out = bytearray()
    encode_varint(value, out.append)
    return bytes(out)


def record_of_zeros(size: int, number: int = 0) -> Iterator[bytes]:
    """A record of Kafka whose value is so many zeros, as it stands in a batch."""
    head = b"\0" + _varint(0) + _varint(number) + _varint(-1) + _varint(size)
    yield _varint(len(head) + size + 1) + head
    yield from zeros(size)
    yield _varint(0)


def batch_of(packing: str, pieces: Iterator[bytes], *, count: int = 1, first: int = 0) -> bytes:
    """A batch of records of Kafka (magic 2), of which nobody had all in memory.

    Parameters
    ----------
    packing
        A key of ``PACKERS``.
    pieces
        The records.
    count, first
        How many, and the offset of the first.
    """
    number, pack = PACKERS[packing]
    body = pack(pieces)
    # attributes, last offset delta, timestamps, producer id, epoch, sequence, count
    rest = struct.pack(">hiqqqhii", number, count - 1, 0, 0, -1, -1, -1, count) + body
    checked = struct.pack(">ibI", 0, 2, calc_crc32c(rest)) + rest
    return struct.pack(">qi", first, len(checked)) + checked


def peak_mib(pid: int) -> int:
    """Most memory that a process has had [MiB]."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) >> 10 for line in text.split("\n") if "VmHWM" in line)


def run_alone(code: str, *inputs: bytes, seconds: float) -> tuple[str, int, int]:
    """Run a program in a process of its own.

    Parameters
    ----------
    code
        It finds ``inputs`` in a variable of that name, and calls ``say`` once.
    inputs
        What it works on.
    seconds
        How long it may take.

    Returns
    -------
    str
        What it said.
    int, int
        Peak of its memory before it began and at the end, what it was given included [MiB].
    """
    whole = f"""
import pickle, sys
inputs = pickle.load(sys.stdin.buffer)
{_PEAK}
said = []
say = said.append
before = peak()
{code}
print(before, peak(), said[0])
"""
    result = subprocess.run(
        [sys.executable, "-c", whole],
        input=pickle.dumps(inputs),
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    before, after, said = result.stdout.decode().split(maxsplit=2)
    return said.strip(), int(before), int(after)


_PEAK = """
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmHWM"))
"""
