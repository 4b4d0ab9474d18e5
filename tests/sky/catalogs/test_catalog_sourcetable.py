import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.sourcetable import find_position, read_table, valid_positions

ROWS: dict[str, Any] = {
    "ra": [10.5, 20.25],
    "dec": [-1.5, 2.5],
    "z": [0.01, None],
    "name": ["NGC 1", "M 31"],
    "n": [3, 4],
}


def astropy_table() -> Table:
    return Table(
        [
            np.array(ROWS["ra"]),
            np.array(ROWS["dec"]),
            MaskedColumn([0.01, 0.0], mask=[False, True]),
            np.array(ROWS["name"]),
            np.array(ROWS["n"]),
        ],
        names=list(ROWS),
        units={"ra": "deg", "dec": "deg"},
    )


def write(path: Path) -> None:
    if path.name.endswith((".parquet", ".pq")):
        pq.write_table(pa.table(ROWS), path)
    elif path.name.endswith(".csv"):
        pc.write_csv(pa.table(ROWS), path)
    elif path.name.endswith(".csv.gz"):
        path.write_bytes(
            gzip.compress(b"ra,dec,z,name,n\n10.5,-1.5,.01,NGC 1,3\n20.25,2.5,,M 31,4")
        )
    elif path.name.endswith(".tsv"):
        path.write_text("ra\tdec\tz\tname\tn\n10.5\t-1.5\t.01\tNGC 1\t3\n20.25\t2.5\t\tM 31\t4\n")
    elif path.name.endswith((".fits", ".fits.gz")):
        astropy_table().write(path, format="fits")
    elif path.name.endswith(".ecsv"):
        astropy_table().write(path, format="ascii.ecsv")
    else:
        astropy_table().write(path, format="votable")


@pytest.mark.parametrize(
    "name",
    [
        "t.parquet",
        "t.PQ".lower(),
        "t.csv",
        "t.csv.gz",
        "t.tsv",
        "t.fits",
        "t.fits.gz",
        "t.vot",
        "t.xml",
        "t.ecsv",
    ],
)
def test_all_formats_give_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path)
    read = read_table(path)
    found = read.table.to_pydict()
    # astropy's FITS writer fills masked numbers with nan
    found["z"] = [None if one is None or np.isnan(one) else one for one in found["z"]]
    assert found == ROWS
    if name.endswith((".fits", ".fits.gz", ".vot", ".xml", ".ecsv")):
        assert read.units == {"ra": "deg", "dec": "deg"}


def test_lists_and_images_are_left_out_and_named(tmp_path: Path) -> None:
    table = pa.table({"ra": [1.0], "spectrum": [[1.0, 2.0]], "inner": [{"a": 1}]})
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    assert read.table.schema.names == ["ra"]
    assert read.left_out == ("spectrum", "inner")
    Table({"ra": [1.0], "image": np.ones((1, 2, 2))}).write(tmp_path / "t.fits")
    read = read_table(tmp_path / "t.fits")
    assert read.table.schema.names == ["ra"]
    assert read.left_out == ("image",)


def test_odd_types_become_usual_ones(tmp_path: Path) -> None:
    table = pa.table(
        {
            "decimal": pa.array([Decimal("1.5")]),
            "half": pa.array([np.float16(0.5)]),
            "kind": pa.array(["G"]).dictionary_encode(),
            "nothing": pa.nulls(1),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    kinds = read_table(tmp_path / "t.parquet").table.schema.types
    assert kinds == [pa.float64(), pa.float32(), pa.string(), pa.string()]


def test_byte_text_is_decoded_and_stripped(tmp_path: Path) -> None:
    Table({"name": np.array([b"NGC 1   ", b"M 31"])}).write(tmp_path / "t.fits")
    assert read_table(tmp_path / "t.fits").table.to_pydict() == {"name": ["NGC 1", "M 31"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.parquet", b"PAR1 no", "t.parquet is unreadable"),
        ("t.fits", b"SIMPLE", "t.fits is unreadable"),
        ("t.vot", b"<a>", "t.vot is unreadable"),
        ("t.csv", b"a,b\n1,2,3\n", "t.csv is unreadable"),
        ("t.csv", b"a,a\n1,2\n", "more than one column is called a"),
        ("t.doc", b"", "one of .parquet"),
    ],
)
def test_unreadable_tables_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError, match=message):
        read_table(tmp_path / name)


def test_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no table .*gone.csv"):
        read_table(tmp_path / "gone.csv")


def columns(*names: str, **others: Any) -> pa.Table:
    return pa.table({**{name: [1.0] for name in names}, **others})


@pytest.mark.parametrize(
    "pair",
    [
        ("ra", "dec"),
        ("RA", "DEC"),
        ("RAJ2000", "DEJ2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("RA_ICRS", "DE_ICRS"),
        ("raMean", "decMean"),
        ("ra", "decl"),
    ],
)
def test_usual_names_are_found(pair: tuple[str, str]) -> None:
    assert find_position(columns("z", *pair), {}) == pair


def test_numbers_win_over_sexagesimal_text() -> None:
    both = columns("_RAJ2000", "_DEJ2000", RAJ2000=["13 09 47"], DEJ2000=["-23 23 02"])
    assert find_position(both, {}) == ("_RAJ2000", "_DEJ2000")
    text = columns("ra", "dec", RAJ2000=["13 09 47"], DEJ2000=["-23 23 02"])
    assert find_position(text, {}) == ("ra", "dec")


def test_given_names_win() -> None:
    assert find_position(columns("ra", "dec", "x", "y"), {}, "x", "y") == ("x", "y")


@pytest.mark.parametrize(
    ("others", "units", "given", "message"),
    [
        ({"x": [1.0]}, {}, (None, None), "name them with --ra and --dec; the table has x"),
        ({"x": [1.0]}, {}, ("x", "y"), "no column y; it has x"),
        ({"x": [1.0]}, {}, ("x", None), "both columns"),
        ({"x": [True], "y": [1.0]}, {}, ("x", "y"), "column x is neither numbers nor text"),
        ({"ra": [1.0], "dec": [1.0]}, {"ra": "rad"}, (None, None), "column ra is in rad"),
    ],
)
def test_faults_are_named(
    others: dict[str, Any],
    units: dict[str, str],
    given: tuple[str | None, str | None],
    message: str,
) -> None:
    with pytest.raises(CatalogError, match=message):
        find_position(pa.table(others), units, *given)


def test_positions_on_the_sky() -> None:
    nan, inf = float("nan"), float("inf")
    ra = [0.0, 360.0, -180.0, 400.0, nan, 10.0, 10.0, 10.0, -999.0, inf]
    dec = [0.0, 90.0, -90.0, 0.0, 0.0, nan, 90.1, -91.0, 0.0, 0.0]
    assert valid_positions(ra, dec).tolist() == [True] * 3 + [False] * 7
