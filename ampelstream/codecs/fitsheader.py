"""The header of a sky map in FITS, read in one place: for the map, and for the event it stands for.

A file may hold pictures and other tables in front of the map, and its cards come as the field
writes them: numbers as text, names in any case, units of measure or none.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from astropy.io import fits

from ampelstream.codecs.fitsfile import DAMAGE, FitsFile
from ampelstream.errors import DecodeError, SkyMapError

__all__ = [
    "DENSITY",
    "PER_PIXEL",
    "Cards",
    "MapColumn",
    "MapTable",
    "nside_of",
    "readable",
    "sky_map_table",
]

PER_PIXEL = ("PROB", "PROBABILITY")
DENSITY = "PROBDENSITY"

Cards = Mapping[str, str | float]
"""Cards of a header with a text or a number, without commentary; names in capitals."""

_TABLES = {"BINTABLE", "A3DTABLE"}
_SURE, _LIKELY, _NAMED = 3, 2, 1
"""How much a table looks like a sky map: it says that it is one, and has probabilities; it has
probabilities, of as many pixels as the sky has; it only says that it is HEALPix."""
_MAX_ORDER = 29


class MapColumn(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name
        As the file spells it.
    number
        Its place, from 1, as in TTYPEn.
    width
        How many elements each row has.
    unit
        TUNITn; empty without it.
    """

    name: str
    number: int
    width: int = 1
    unit: str = ""


@dataclass(frozen=True, slots=True)
class MapTable:
    """The table that holds a sky map.

    Attributes
    ----------
    header
        As astropy has it, for `FitsFile.slices`.
    cards
        The same, plain.
    primary
        Cards of the file's first header, which may tell what the table does not.
    columns
        By their names in capitals; of two that differ in capitals only, the last.
    rows
        How many rows it has.
    """

    header: fits.Header
    cards: Cards
    primary: Cards
    columns: Mapping[str, MapColumn]
    rows: int

    def text(self, key: str) -> str:
        """Text of a card; of the file's first header where the table has none; empty if neither."""
        own = str(self.cards.get(key, "")).strip()
        return own or str(self.primary.get(key, "")).strip()


@contextmanager
def readable(name: str, error: type[DecodeError | SkyMapError]) -> Iterator[None]:
    """Turn what a damaged or too large file makes the libraries raise into our error.

    Parameters
    ----------
    name
        Of the file, for messages.
    error
        Class of the error to raise.
    """
    try:
        yield
    except SkyMapError:
        raise
    except DecodeError as said:
        raise error(f"sky map {name} {said}") from said
    except DAMAGE as damage:
        raise error(
            f"sky map {name} is truncated or damaged ({type(damage).__name__}: {damage}); "
            "fetch it again"
        ) from damage


def sky_map_table(data: bytes) -> tuple[FitsFile, MapTable]:
    """Find the table that holds the sky map, wherever it stands.

    It is the first that says that it is HEALPix and has a column of probabilities. Without one it
    is the first that looks most like it, so that who reads it can say what it lacks.

    Parameters
    ----------
    data
        The FITS file, plain or gzipped.

    Returns
    -------
    file
        Read as far as the table's header.
    table
        What the header says.

    Raises
    ------
    DecodeError
        There is none; the message goes on where a sentence begins with the file. A damaged file
        raises one of `DAMAGE`.
    """
    file = FitsFile(data)
    primary: Cards = {}
    best, at, seen = 0, 0, []
    for number, header in enumerate(file.headers()):
        if not number:
            primary = _cards(header)
        if str(header.get("XTENSION", "")).strip() not in _TABLES or header.get("ZIMAGE"):
            continue  # ZIMAGE: an image, compressed
        if header.get("ZTABLE"):
            seen.append("a compressed table, which is not read (funpack makes a plain one)")
            continue
        table = _table(header, primary)
        likeness = _likeness(table)
        if likeness == _SURE:
            return file, table
        if likeness > best:
            best, at = likeness, number
        seen.append(", ".join(filter(None, table.columns)) or "no columns")
    if best:  # the file is read from front to back, and the table lies behind
        file = FitsFile(data)
        return file, _table(next(islice(file.headers(), at, None)), primary)
    found = f"its tables: {'; '.join(seen)}" if seen else "no table at all: is it truncated?"
    raise DecodeError(
        f"has no HEALPix table ({found}); the table of a sky map has the card PIXTYPE = 'HEALPIX' "
        "or a column UNIQ"
    )


def _table(header: fits.Header, primary: Cards) -> MapTable:
    cards = _cards(header)
    columns = {}
    for number in range(1, int(header["TFIELDS"]) + 1):
        name = str(header.get(f"TTYPE{number}", "")).strip()
        width = re.match(r"\s*(\d+)", str(header.get(f"TFORM{number}", "")))
        unit = str(cards.get(f"TUNIT{number}", "")).strip()
        columns[name.upper()] = MapColumn(name, number, int(width[1]) if width else 1, unit)
    return MapTable(header, cards, primary, columns, int(header["NAXIS2"]))


def _cards(header: fits.Header) -> Cards:
    """Cards with a text or a number."""
    cards: dict[str, str | float] = {}
    for card in header.cards:
        with suppress(fits.VerifyError):  # a mangled card is no card; those needed are missed later
            key, value = card.keyword.upper(), card.value
            if isinstance(value, bool):
                cards[key] = "T" if value else "F"
            elif isinstance(value, str) and key not in {"", "COMMENT", "HISTORY"}:
                cards[key] = value.strip()
            elif isinstance(value, int | float):
                cards[key] = value
    return cards


def _likeness(table: MapTable) -> int:
    """How much a table looks like a sky map; 0 where it does not."""
    says = table.cards.get("PIXTYPE")
    is_named = str(says).strip().upper() == "HEALPIX" or "UNIQ" in table.columns
    column = next((one for one in (DENSITY, *PER_PIXEL) if one in table.columns), None)
    if column is None:
        return _NAMED if is_named else 0
    if is_named:
        return _SURE
    return _LIKELY if nside_of(table.rows * table.columns[column].width) else 0


def nside_of(pixels: int) -> int | None:
    """NSIDE of a whole sky of so many pixels; None where no sky has as many."""
    orders = range(_MAX_ORDER + 1)
    return next((1 << order for order in orders if 12 << 2 * order == pixels), None)
