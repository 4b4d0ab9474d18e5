from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.hats import Cell
from ampelstream.sky.healpix import cell, pixel29

RA = [10.0, 10.001, 200.0, 359.9999, 10.0]
DEC = [5.0, 5.0, -60.0, 0.0, 5.0005]


def test_names_are_those_of_catalogues_only(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "b", {"ra": RA, "dec": DEC})
    make(tmp_path, "GLADE+", {"ra": RA, "dec": DEC})
    (tmp_path / "empty").mkdir()
    (tmp_path / ".b.being-written").mkdir()
    (tmp_path / "file").write_text("")
    store = CatalogStore(tmp_path)
    assert store.names() == ["GLADE+", "b"]
    assert "GLADE+" in store
    assert "empty" not in store
    assert "../b" not in store


def test_a_root_that_is_not_there_has_no_names(tmp_path: Path) -> None:
    assert CatalogStore(tmp_path / "gone").names() == []


def test_opening_twice_gives_the_same_catalogue(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "b", {"ra": RA, "dec": DEC})
    store = CatalogStore(tmp_path)
    assert store.open("b") is store.open("b")
    assert "version" in repr(store.open("b"))


def test_an_absent_catalogue_is_named_with_what_is_there_and_the_mend(
    make: Any, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError) as empty:
        CatalogStore(tmp_path).open("TNS")
    assert "it has none" in str(empty.value)
    make(tmp_path, "b", {"ra": RA, "dec": DEC})
    with pytest.raises(CatalogError) as error:
        CatalogStore(tmp_path).open("TNS")
    text = str(error.value)
    for part in (f"no catalogue TNS in {tmp_path}", "it has b", "ampelstream catalogs add TNS"):
        assert part in text


@pytest.mark.parametrize("content", ["", "{}", '{"name": 1}', "nonsense"])
def test_a_damaged_description_is_named(make: Any, tmp_path: Path, content: str) -> None:
    make(tmp_path, "b", {"ra": RA, "dec": DEC})
    (tmp_path / "b" / "catalog.json").write_text(content)
    with pytest.raises(CatalogError, match=r"b in .* is damaged .*catalogs add b TABLE --replace"):
        CatalogStore(tmp_path).open("b")


def test_a_damaged_list_of_partitions_is_named(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "b", {"ra": RA, "dec": DEC})
    (tmp_path / "b" / "partition_info.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CatalogError, match="list of partitions is unreadable"):
        CatalogStore(tmp_path).open("b")
    (tmp_path / "b" / "partition_info.csv").write_text("Norder,Npix\n")
    with pytest.raises(CatalogError, match="no partitions"):
        CatalogStore(tmp_path).open("b")


def test_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AMPELSTREAM_CATALOGS", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert CatalogStore.default_root() == tmp_path / ".local/share/ampelstream/catalogs"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert CatalogStore.default_root() == Path("/data/ampelstream/catalogs")
    monkeypatch.setenv("AMPELSTREAM_CATALOGS", "/catalogs")
    assert CatalogStore.default_root() == Path("/catalogs")


def foreign(catalog: Path, suffix: str) -> None:
    """Write what another HATS writer might: its own order of rows, no pixel column, no table."""
    rows: dict[Cell, list[int]] = {}
    for number, (ra, dec) in enumerate(zip(RA, DEC, strict=True)):
        rows.setdefault(Cell(1, cell(pixel29(ra, dec), 1)), []).insert(0, number)
    for one, numbers in rows.items():
        path = catalog / one.path(suffix)
        path = path / "part0.parquet" if suffix == "/" else path
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table(
            {
                "alpha": np.array(RA)[numbers],
                "delta": np.array(DEC)[numbers],
                "number": numbers,
                "name": [f"n{number}" for number in numbers],
            }
        )
        pq.write_table(table, path)
    (catalog / "hats.properties").write_text(
        "#HATS catalog\nobs_collection=gaia\nhats_col_ra=alpha\nhats_col_dec = delta\n"
        f"hats_nrows={len(RA)}\nhats_npix_suffix={suffix}\n"
    )


@pytest.mark.parametrize("suffix", [".parquet", "/"])
def test_catalogues_of_other_hats_writers_are_read(tmp_path: Path, suffix: str) -> None:
    foreign(tmp_path / "gaia", suffix)
    store = CatalogStore(tmp_path)
    assert store.names() == ["gaia"]
    catalog = store.open("gaia")
    assert catalog.columns == ("alpha", "delta", "number", "name")
    assert (catalog.info.rows, catalog.info.order, catalog.info.own) == (5, 1, False)
    matches = catalog.cone(10.0, 5.0, 5.0)
    assert [match.row["number"] for match in matches] == [0, 4, 1]
    assert [match.row["name"] for match in matches] == ["n0", "n4", "n1"]
    assert [match.row["number"] for match in catalog.cone(0.0, 0.0, 1.0)] == [3]
    assert CatalogStore(tmp_path).open("gaia").version == catalog.version


def test_a_hats_collection_leads_to_its_catalogue(tmp_path: Path) -> None:
    foreign(tmp_path / "gaia_dr3" / "gaia", ".parquet")
    (tmp_path / "gaia_dr3" / "collection.properties").write_text(
        "obs_collection=gaia_dr3\nhats_primary_table_url=gaia\n"
    )
    store = CatalogStore(tmp_path)
    assert store.names() == ["gaia_dr3"]
    assert store.open("gaia_dr3").name == "gaia_dr3"
    assert len(store.open("gaia_dr3").cone(10.0, 5.0, 5.0)) == 3
