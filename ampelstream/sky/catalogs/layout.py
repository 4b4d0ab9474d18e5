"""Names of the files of a catalogue, in the HATS layout."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ampelstream.errors import CatalogError
from ampelstream.sky.healpix import ORDER

__all__ = [
    "INFO",
    "PIXEL_COLUMN",
    "PROPERTIES",
    "Cell",
    "list_cells",
    "read_properties",
    "write_cells",
    "write_properties",
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


def write_properties(catalog: Path, properties: Mapping[str, object]) -> None:
    """Write the properties under both names."""
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    for name in PROPERTIES:
        (catalog / name).write_text(text, encoding="utf-8")
