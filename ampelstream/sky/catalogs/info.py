"""What is known of a catalogue without reading its rows."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from pyarrow import ArrowException

from ampelstream.errors import CatalogError
from ampelstream.model.digest import digest
from ampelstream.sky.catalogs.layout import (
    INFO,
    PIXEL_COLUMN,
    PROPERTIES,
    list_cells,
    read_properties,
    write_properties,
)

__all__ = ["CatalogInfo", "describe", "save"]


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
    write_properties(
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
