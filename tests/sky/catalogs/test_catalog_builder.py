from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.builder import LARGEST, build
from ampelstream.sky.catalogs.hats import Cell, list_cells, read_properties
from ampelstream.sky.catalogs.sourcetable import read_table
from ampelstream.sky.healpix import pixels29

NGC4993 = (197.4488, -23.3839)
AT2017GFO = (197.45037, -23.38148)


def crowd(count: int = 3000) -> dict[str, Any]:
    """Half of the rows within a degree: partitions of several orders."""
    random = np.random.default_rng(3)
    ra = np.append(random.uniform(0.0, 360.0, count // 2), random.normal(83.6, 0.5, count // 2))
    dec = np.append(random.uniform(-90.0, 90.0, count // 2), random.normal(22.0, 0.5, count // 2))
    return {"ra": ra, "dec": dec, "number": np.arange(len(ra))}


def test_partitions_are_small_sorted_and_whole(make: Any, tmp_path: Path) -> None:
    columns = crowd()
    built = make(tmp_path, "crowd", columns, largest=100)
    cells = list_cells(tmp_path / "crowd")
    assert len(cells) == built.partitions > 30
    assert len({cell.order for cell in cells}) > 2
    assert max(cell.order for cell in cells) == built.info.order
    numbers: list[int] = []
    for cell in cells:
        table = pq.read_table(tmp_path / "crowd" / cell.path(), partitioning=None)
        assert 0 < len(table) <= 100
        pixels = table.column("_healpix_29").to_numpy()
        assert (np.diff(pixels) >= 0).all()
        assert ((pixels >= cell.start29) & (pixels < cell.end29)).all()
        ra, dec = table.column("ra").to_numpy(), table.column("dec").to_numpy()
        assert (pixels == pixels29(ra, dec)).all()
        numbers += table.column("number").to_pylist()
    assert sorted(numbers) == list(range(len(columns["ra"])))


def test_cells_do_not_overlap(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "crowd", crowd(), largest=100)
    cells = list_cells(tmp_path / "crowd")
    assert all(a.end29 <= b.start29 for a, b in pairwise(cells))


def test_rows_at_one_place_end_the_splitting(make: Any, tmp_path: Path) -> None:
    built = make(tmp_path, "pile", {"ra": [10.0] * 50, "dec": [5.0] * 50}, largest=10)
    assert built.partitions == 1
    assert len(CatalogStore(tmp_path).open("pile").cone(10.0, 5.0, 0.1)) == 50


def test_files_are_named_as_hats_does(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "one", {"RAJ2000": [197.45], "DEJ2000": [-23.38]})
    files = {str(f.relative_to(tmp_path / "one")) for f in (tmp_path / "one").rglob("*")}
    assert "dataset/Norder=0/Dir=0/Npix=6.parquet" in files
    assert {"catalog.json", "hats.properties", "properties", "partition_info.csv"} <= files
    assert Cell(8, 123456).path() == "dataset/Norder=8/Dir=120000/Npix=123456.parquet"
    said = read_properties(tmp_path / "one" / "hats.properties")
    assert said["hats_col_ra"] == "RAJ2000"
    assert said["hats_nrows"] == "1"
    assert said["obs_collection"] == "one"


def test_rows_without_a_position_are_counted_and_left_out(make: Any, tmp_path: Path) -> None:
    nan = float("nan")
    columns = {"ra": [10.0, nan, 20.0, None], "dec": [1.0, 2.0, 95.0, 3.0], "k": [1, 2, 3, 4]}
    built = make(tmp_path, "some", columns)
    assert (built.invalid, built.info.rows) == (3, 1)
    (match,) = CatalogStore(tmp_path).open("some").cone(0.0, 0.0, 648000.0)
    assert match.row["k"] == 1


def test_a_table_without_any_position_is_refused(make: Any, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no row of 1 has a valid position"):
        make(tmp_path, "none", {"ra": [1000.0], "dec": [0.0]})
    assert CatalogStore(tmp_path).names() == []


def test_the_version_is_that_of_the_content(make: Any, tmp_path: Path) -> None:
    first = make(tmp_path, "a", crowd())
    again = make(tmp_path, "b", crowd(), largest=100)
    assert first.info.version == again.info.version
    changed = crowd()
    changed["number"] = changed["number"] + 1
    assert make(tmp_path, "c", changed).info.version != first.info.version
    renamed = {**crowd()}
    renamed["id"] = renamed.pop("number")
    assert make(tmp_path, "d", renamed).info.version != first.info.version


def test_an_existing_catalogue_is_only_replaced_when_asked(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "x", {"ra": [1.0], "dec": [1.0]})
    with pytest.raises(CatalogError, match=r"already in .*use --replace"):
        make(tmp_path, "x", {"ra": [2.0], "dec": [2.0]})
    assert len(CatalogStore(tmp_path).open("x").cone(1.0, 1.0, 1.0)) == 1
    make(tmp_path, "x", {"ra": [2.0], "dec": [2.0]}, replace=True)
    catalog = CatalogStore(tmp_path).open("x")
    assert catalog.cone(1.0, 1.0, 1.0) == []
    assert len(catalog.cone(2.0, 2.0, 1.0)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_failed_write_leaves_the_old_catalogue(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "x", {"ra": [1.0], "dec": [1.0]})

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("ampelstream.sky.catalogs.builder.write_cells", full)
    with pytest.raises(CatalogError, match=r"x cannot be written to .*no space left"):
        make(tmp_path, "x", {"ra": [2.0], "dec": [2.0]}, replace=True)
    with pytest.raises(CatalogError, match="no space left"):
        make(tmp_path, "y", {"ra": [2.0], "dec": [2.0]})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert len(CatalogStore(tmp_path).open("x").cone(1.0, 1.0, 1.0)) == 1


def test_a_failed_rename_puts_the_old_catalogue_back(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "x", {"ra": [1.0], "dec": [1.0]})
    rename = Path.rename

    def fail_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("device busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_new)
    with pytest.raises(CatalogError, match="device busy"):
        make(tmp_path, "x", {"ra": [2.0], "dec": [2.0]}, replace=True)
    assert len(CatalogStore(tmp_path).open("x").cone(1.0, 1.0, 1.0)) == 1


def test_chosen_columns_are_kept_with_the_position(make: Any, tmp_path: Path) -> None:
    columns = {"ra": [1.0], "dec": [1.0], "z": [0.1], "junk": ["x"]}
    built = make(tmp_path, "x", columns, columns=["z"], epoch=2016.0)
    assert built.info.columns == ("ra", "dec", "z")
    info = CatalogStore(tmp_path).open("x").info
    assert (info.epoch, info.source) == (2016.0, "table.csv")
    with pytest.raises(CatalogError, match="has no column y; it has ra, dec, z, junk"):
        make(tmp_path, "y", columns, columns=["y"])


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "../x", "-x", "x" * 65])
def test_unsafe_names_are_refused(make: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match="cannot name a catalogue"):
        make(tmp_path, name, {"ra": [1.0], "dec": [1.0]})


@pytest.mark.realdata
def test_glade_plus(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet"
    built = build(tmp_path, "GLADE+", read_table(path))
    assert (built.info.rows, built.invalid) == (87_104, 0)
    assert (built.info.ra, built.info.dec) == ("RAJ2000", "DEJ2000")
    assert LARGEST == 100_000
    catalog = CatalogStore(tmp_path).open("GLADE+")
    (near,) = catalog.cone(*AT2017GFO, 10.0)
    assert near.row["GWGC"] == "NGC4993"
    assert (near.row["RAJ2000"], near.row["DEJ2000"]) == pytest.approx(NGC4993, abs=1e-4)
    assert near.separation_arcsec == pytest.approx(9.97, abs=0.01)
    assert near.row["z_best"] == pytest.approx(0.00785, abs=1e-5)
    assert near.row["Dist"] == pytest.approx(33.8, abs=0.1)
    assert catalog.cone(*AT2017GFO, 9.9) == []


@pytest.mark.realdata
def test_every_galaxy_of_glade_plus_finds_itself(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet"
    build(tmp_path, "GLADE+", read_table(path), largest=2000, columns=["GLADE+"])
    catalog = CatalogStore(tmp_path).open("GLADE+")
    table = pq.read_table(path, columns=["GLADE+", "RAJ2000", "DEJ2000"])
    for row in table.take(pa.array(range(0, len(table), 60))).to_pylist():
        matches = catalog.cone(row["RAJ2000"], row["DEJ2000"], 0.001, ["GLADE+"])
        assert row["GLADE+"] in {match.row["GLADE+"] for match in matches}
