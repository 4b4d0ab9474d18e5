"""FITS files are read from front to back, and no further than a map can reach."""

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from ampelstream.codecs import fitsfile
from ampelstream.codecs.fitsfile import FitsFile, plain_digest
from ampelstream.errors import DecodeError
from ampelstream.model.digest import digest_bytes


def table(rows: int = 10, **cards: object) -> bytes:
    columns = [
        fits.Column("A", "D", array=np.arange(rows) / 3),
        fits.Column("B", "2I", array=np.arange(2 * rows).reshape(rows, 2)),
        fits.Column("C", "E", array=np.arange(rows) * 0.5, bscale=0.5, bzero=3.0),
        fits.Column("D", "4A", array=["text"] * rows),
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header.update(cards)
    out = io.BytesIO()
    image = fits.ImageHDU(np.zeros((100, 100)))
    fits.HDUList([fits.PrimaryHDU(np.zeros(7)), image, hdu]).writeto(out)
    return out.getvalue()


def last_header(file: FitsFile) -> fits.Header:
    *_, last = file.headers()
    return last


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
@pytest.mark.parametrize("names", ["ABC", "AB", "B"])  # C is scaled: no view of the rows
def test_slices_are_what_astropy_reads(
    pack: type[bytes], at_once: int, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitsfile, "_SLICE_BYTES", at_once)
    data = table()
    file = FitsFile(pack(data))
    for header in file.headers():
        if header.get("XTENSION") == "BINTABLE":
            break
    slices = list(file.slices(header, {name: name.lower() for name in names}))
    assert len(slices) == {1: 10, 40: 5, 1 << 20: 1}[at_once]
    with fits.open(io.BytesIO(data)) as hdus:
        for name in names:
            theirs = hdus[2].data.field(name)
            mine = np.concatenate([one[name.lower()] for one in slices])
            assert np.array_equal(mine, theirs)
            assert mine.dtype.kind == theirs.dtype.kind
            assert mine.shape == theirs.shape
    file.finish()


def test_the_plain_digest_is_that_of_the_plain_file() -> None:
    data = table()
    assert plain_digest(data) == plain_digest(gzip.compress(data)) == digest_bytes(data)


def test_nothing_is_passed_that_is_longer_than_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitsfile, "MAX_PLAIN_BYTES", 50_000)
    data = table()
    with pytest.raises(DecodeError, match=r"^promises 89280 bytes, more than the 50000 of any"):
        last_header(FitsFile(data))
    bomb = gzip.compress(data[:2880] + bytes(100_000))
    with pytest.raises(DecodeError, match=r"^inflates to more than the 50000 bytes of any map"):
        plain_digest(bomb)
    file = FitsFile(bomb)
    next(file.headers())
    with pytest.raises(DecodeError, match=r"^inflates to more"):
        file.finish()


def test_a_header_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitsfile, "_HEADER_BLOCKS", 3)
    card = b"SIMPLE  =                    T".ljust(80)
    with pytest.raises(DecodeError, match=r"^has a header of more than 8640 bytes"):
        next(FitsFile(gzip.compress(card * 1000)).headers())
    with pytest.raises(EOFError, match=r"within a header"):
        next(FitsFile(card * 36).headers())


def test_long_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitsfile, "_ROW_BYTES", 19)
    file = FitsFile(table())
    header = last_header(file)
    with pytest.raises(DecodeError, match=r"^has rows of 20 bytes, and 19 are read at most"):
        next(file.slices(header, {"A": "a"}))


def test_a_table_that_breaks_off_says_where() -> None:
    data = table(rows=1000)
    file = FitsFile(data[:-15_000])
    for header in file.headers():
        if header.get("XTENSION") == "BINTABLE":
            break
    with pytest.raises(EOFError, match=r"in row 258 of its table"):
        list(file.slices(header, {"A": "a"}))
