"""Inputs that stand for far more than they are, made here piece by piece; and what they cost."""

import gzip
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import healpy as hp
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

COLUMNS = ("PROB", "DISTMU", "DISTSIGMA", "DISTNORM")
WIDTH = 1024
"""Pixels in a row of a table, as healpy writes them."""
_AT_ONCE = 1 << 18

Values = Callable[[NDArray[np.int64]], list[NDArray[Any]]]
"""Of pixels in the NESTED order, a column each."""


def gzipped(pieces: Iterator[bytes]) -> bytes:
    """Pieces as one gzip file, never all of them in memory."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def zeros(size: int) -> Iterator[bytes]:
    """So many zero bytes."""
    piece = bytes(1 << 20)
    for done in range(0, size, len(piece)):
        yield piece[: size - done]


def flat_map(nside: int, values: Values, *, ring: bool = False, **cards: Any) -> Iterator[bytes]:
    """A flat map with distances in double precision, as a FITS file."""
    npix = hp.nside2npix(nside)
    yield fits.PrimaryHDU().header.tostring().encode()
    table = fits.BinTableHDU.from_columns([fits.Column(n, f"{WIDTH}D") for n in COLUMNS], nrows=0)
    header = table.header
    header["NAXIS2"] = npix // WIDTH
    known = {"PIXTYPE": "HEALPIX", "NSIDE": nside, "OBJECT": "S230101a", "COORDSYS": "C"}
    order = {"ORDERING": "RING" if ring else "NESTED", "DATE-OBS": "2023-01-01T00:00:00"}
    header.update({**known, **order, **cards})
    yield header.tostring().encode()
    size = 0
    for first in range(0, npix, _AT_ONCE):
        pixels = np.arange(first, min(first + _AT_ONCE, npix))
        columns = values(hp.ring2nest(nside, pixels) if ring else pixels)
        rows = np.stack([one.reshape(-1, WIDTH) for one in columns], axis=1)
        data = rows.astype(">f8").tobytes()
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


def empty(pixels: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Zeros."""
    return [np.zeros(len(pixels))] * len(COLUMNS)


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
