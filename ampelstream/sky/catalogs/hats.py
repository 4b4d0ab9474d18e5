"""A catalogue's directory in the HATS layout: its files, and what they say without their rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from pyarrow import ArrowException

from ampelstream.errors import CatalogError
from ampelstream.model.digest import digest
from ampelstream.sky.healpix import ORDER

__all__ = [
    "INFO",
    "PIXEL_COLUMN",
    "PROPERTIES",
    "CatalogInfo",
    "Cell",
    "describe",
    "list_cells",
    "read_properties",
    "save",
    "write_cells",
]

INFO = "catalog.json"
PROPERTIES = ("hats.properties", "properties")
"""File of the properties: today's name, and the one that older readers look for."""
PIXEL_COLUMN = "_healpix_29"
_PARTITIONS = "partition_info.csv"
_PER_DIRECTORY = 10000  # HATS puts at most this many pixels into one Dir=


@dataclass(frozen=True, slots=True)
class Cell:
    """A nested HEALPix pixel that a partition covers.

    Attributes
    ----------
    order, pixel
        Its order and number.
    """

    order: int
    pixel: int

    @property
    def start29(self) -> int:
        """First order-29 pixel inside."""
        return self.pixel << 2 * (ORDER - self.order)

    @property
    def end29(self) -> int:
        """First order-29 pixel behind."""
        return (self.pixel + 1) << 2 * (ORDER - self.order)

    def path(self, suffix: str = ".parquet") -> str:
        """Path of the partition's file relative to the catalogue."""
        directory = self.pixel // _PER_DIRECTORY * _PER_DIRECTORY
        return f"dataset/Norder={self.order}/Dir={directory}/Npix={self.pixel}{suffix}"


def list_cells(catalog: Path) -> list[Cell]:
    """Partitions of a catalogue, sorted along the sky.

    Raises
    ------
    CatalogError
        There is none, or the list of them is unreadable.
    """
    table = catalog / _PARTITIONS
    try:
        cells = _from_table(table) if table.is_file() else _from_names(catalog)
    except (OSError, ValueError, KeyError) as error:
        raise CatalogError(f"{catalog}: its list of partitions is unreadable: {error}") from error
    if not cells:
        raise CatalogError(
            f"{catalog}: no partitions (dataset/Norder=*/Dir=*/Npix=*); add the catalogue again"
        )
    return sorted(set(cells), key=lambda cell: cell.start29)


def _from_table(table: Path) -> list[Cell]:
    header, *lines = table.read_text(encoding="utf-8").split()
    names = header.split(",")
    order, pixel = names.index("Norder"), names.index("Npix")
    rows = [line.split(",") for line in lines]
    return [Cell(int(row[order]), int(row[pixel])) for row in rows]


def _from_names(catalog: Path) -> list[Cell]:
    return [
        Cell(
            int(path.parent.parent.name.partition("=")[2]),
            int(path.name.partition("=")[2].partition(".")[0]),
        )
        for path in catalog.glob("dataset/Norder=*/Dir=*/Npix=*")
    ]


def write_cells(catalog: Path, cells: Iterable[Cell]) -> None:
    """Write the list of partitions."""
    lines = ["Norder,Npix", *(f"{cell.order},{cell.pixel}" for cell in cells)]
    (catalog / _PARTITIONS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_properties(path: Path) -> dict[str, str]:
    """Read a file of ``key=value`` lines; those that begin with # are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _write_properties(catalog: Path, properties: Mapping[str, object]) -> None:
    """Write the properties under both names."""
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    for name in PROPERTIES:
        (catalog / name).write_text(text, encoding="utf-8")


class CatalogInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Description of a catalogue, ``catalog.json``.

    Attributes
    ----------
    name
        Its name.
    version
        Digest of its columns and rows: equal content has equal versions.
    ra, dec
        Names of the columns of the position [deg].
    rows
        Number of rows.
    order
        HEALPix order of its finest partitions.
    columns
        Names of the columns that matches can have.
    epoch
        Epoch of the positions [Julian year]; None where unknown.
    source
        File that it was made from.
    units
        Units of measure of columns, where known.
    suffix
        How the names of its partitions end.
    own
        Whether this project wrote it, rather than another HATS writer.
    """

    name: str
    version: str
    ra: str
    dec: str
    rows: int
    order: int
    columns: tuple[str, ...]
    epoch: float | None = None
    source: str = ""
    units: Mapping[str, str] = {}
    suffix: str = ".parquet"
    own: bool = True


def save(catalog: Path, info: CatalogInfo, largest: int) -> None:
    """Write ``catalog.json`` and the properties for other readers of HATS.

    Parameters
    ----------
    catalog
        Directory of the catalogue.
    info
        What to write.
    largest
        Bound on the rows of a partition.
    """
    text = msgspec.json.format(msgspec.json.encode(info), indent=2)
    (catalog / INFO).write_bytes(text + b"\n")
    _write_properties(
        catalog,
        {
            "obs_collection": info.name,
            "dataproduct_type": "object",
            "hats_nrows": info.rows,
            "hats_col_ra": info.ra,
            "hats_col_dec": info.dec,
            "hats_col_healpix": PIXEL_COLUMN,
            "hats_col_healpix_order": 29,
            "hats_npix_suffix": info.suffix,
            "hats_order": info.order,
            "hats_max_rows": largest,
            "hats_builder": "ampelstream",
        },
    )


def describe(catalog: Path, name: str) -> CatalogInfo:
    """Read the description of a catalogue: ours, or what the HATS properties say.

    Parameters
    ----------
    catalog
        Its directory.
    name
        The name that it is opened by.

    Raises
    ------
    CatalogError
        There is none, or it is damaged.
    """
    own = catalog / INFO
    try:
        if own.is_file():
            return msgspec.json.decode(own.read_bytes(), type=CatalogInfo)
        return _from_hats(catalog, name)
    except (OSError, ValueError, ArrowException, msgspec.MsgspecError) as error:
        raise CatalogError(
            f"catalogue {name} in {catalog} is damaged ({error}); "
            f"make it again: ampelstream catalogs add {name} TABLE --replace"
        ) from error


def _from_hats(catalog: Path, name: str) -> CatalogInfo:
    found = next((catalog / name for name in PROPERTIES if (catalog / name).is_file()), None)
    if found is None:
        raise CatalogError(f"{catalog} has neither {INFO} nor {' nor '.join(PROPERTIES)}")
    said = read_properties(found)
    suffix = said.get("hats_npix_suffix", ".parquet")
    cells = list_cells(catalog)
    first = catalog / cells[0].path(suffix)
    sample = first if first.is_file() else next(first.rglob("*.parquet"))
    columns = [one for one in pq.read_schema(sample).names if one != PIXEL_COLUMN]
    sizes = [(cell.order, cell.pixel, _size(catalog / cell.path(suffix))) for cell in cells]
    return CatalogInfo(
        name=name,
        version=digest([said, sizes]),
        ra=said.get("hats_col_ra", "ra"),
        dec=said.get("hats_col_dec", "dec"),
        rows=int(said.get("hats_nrows", "0")),
        order=max(cell.order for cell in cells),
        columns=tuple(columns),
        source=str(found),
        suffix=suffix,
        own=False,
    )


def _size(path: Path) -> int:
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    return sum(file.stat().st_size for file in files)
