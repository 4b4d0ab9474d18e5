import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from ampelstream.cli import catalogs
from ampelstream.errors import CatalogError

CSV = "RAJ2000,DEJ2000,z,name\n10.0,5.0,0.02,a\n10.001,5.0,,b\n400,5,0.1,c\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "catalogs"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "galaxies.csv"
    path.write_text(CSV)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(catalogs.app, [str(word) for word in words], catch_exceptions=False)


def documents(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_add_list_show_cone(table: Path, root: Path) -> None:
    added = run("add", "GLADE+", table, "--root", root)
    (summary,) = documents(added)
    assert (summary["name"], summary["rows"], summary["partitions"]) == ("GLADE+", 2, 1)
    assert "left out 1 row of" in added.stderr
    assert "positions from RAJ2000, DEJ2000" in added.stderr

    (listed,) = documents(run("list", "--root", root))
    assert listed == {key: value for key, value in summary.items() if key != "partitions"}

    (shown,) = documents(run("show", "GLADE+", "--root", root))
    assert shown["columns"] == ["RAJ2000", "DEJ2000", "z", "name"]
    assert shown["source"] == "galaxies.csv"
    assert shown["version"] == summary["version"]

    near, far = documents(run("cone", "GLADE+", "10.0,5.0", 10, "--root", root))
    assert near["dist2transient"] == 0.0
    assert (near["name"], near["z"]) == ("a", 0.02)
    assert (far["name"], far["z"]) == ("b", None)
    assert far["dist2transient"] == pytest.approx(3.586, abs=1e-3)


def test_cone_with_columns_and_without_a_match(table: Path, root: Path) -> None:
    run("add", "g", table, "--root", root)
    (row,) = documents(run("cone", "g", "10,5", 1, "--columns", "name, z", "--root", root))
    assert list(row) == ["dist2transient", "name", "z"]
    nothing = run("cone", "g", "10,-5", 1, "--root", root)
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "nothing in g" in nothing.stderr


def test_columns_of_the_position_and_kept_ones(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.0], "y": [2.0], "z": [3.0], "list": [[1]]}), path)
    result = run("add", "t", path, "--ra", "x", "--dec", "y", "--epoch", 2016, "--root", root)
    assert "columns that are not single values: list" in result.stderr
    (shown,) = documents(run("show", "t", "--root", root))
    assert (shown["columns"], shown["epoch"]) == (["x", "y", "z"], 2016.0)
    words = ("add", "t", path, "--ra", "x", "--dec", "y", "--columns", "", "--root", root)
    with pytest.raises(CatalogError, match="use --replace"):
        run(*words)
    with pytest.raises(CatalogError, match="has no column"):
        run(*words, "--replace")


def test_replace(table: Path, root: Path) -> None:
    (first,) = documents(run("add", "g", table, "--root", root))
    table.write_text(CSV + "11,5,0.3,d\n")
    (second,) = documents(run("add", "g", table, "--replace", "--root", root))
    assert (first["rows"], second["rows"]) == (2, 3)
    assert first["version"] != second["version"]


def test_the_root_comes_from_the_environment(
    table: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMPELSTREAM_CATALOGS", str(root))
    run("add", "g", table)
    assert [one["name"] for one in documents(run("list"))] == ["g"]


def test_an_empty_root_says_how_to_begin(root: Path) -> None:
    result = run("list", "--root", root)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "ampelstream catalogs add NAME TABLE" in result.stderr


@pytest.mark.parametrize(
    "position", ["10,5", "00:40:00,5", "0h40m00s +5d00m00s", "-350,5", "-23:20:00,5:00:00"]
)
def test_a_position_however_it_is_written(table: Path, root: Path, position: str) -> None:
    run("add", "g", table, "--root", root)
    (found,) = documents(run("cone", "g", position, 1, "--root", root))
    assert found["RAJ2000"] == 10.0


def test_a_mistyped_option_beside_a_negative_position_is_said(table: Path, root: Path) -> None:
    run("add", "g", table, "--root", root)
    result = run("cone", "g", "-350,5", 10, "--rooot", root)
    assert result.exit_code == 2
    assert "--rooot" in result.stderr


def test_a_table_of_sexagesimal_positions(root: Path, tmp_path: Path) -> None:
    for name, north in (("south", "-"), ("north", "")):  # Arrow takes the second for times of day
        table = tmp_path / f"{name}.csv"
        table.write_text(f"name,ra,dec\na,13:09:48,{north}23:22:48\nb,00:00:01,{north}01:00:00\n")
        run("add", name, table, "--root", root)
        (found,) = documents(run("cone", name, f"197.45,{north}23.38", 1, "--root", root))
        assert found["name"] == "a"
        assert found["ra"] == pytest.approx(197.45)
        assert found["dec"] == pytest.approx(float(f"{north}23.38"))


@pytest.mark.parametrize("position", ["10", "10,x", "10,5,3"])
def test_a_wrong_position_is_a_usage_error(position: str, root: Path) -> None:
    result = run("cone", "g", position, 1, "--root", root)
    assert result.exit_code == 2
    assert "no position" in result.stderr


def test_tables_for_people(
    table: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("add", "g", table, "--root", root)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    catalogs.cone("g", "10,5", 10.0, root=root)
    catalogs.show("g", root=root)
    text = capsys.readouterr().out
    assert "dist2transient" in text
    assert "RAJ2000, DEJ2000, z, name" in text
    assert "galaxies.csv" in text


@pytest.mark.realdata
def test_glade_plus(data_dir: Path, root: Path) -> None:
    path = data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet"
    (summary,) = documents(run("add", "GLADE+", path, "--root", root))
    assert summary["rows"] == 87_104
    (host,) = documents(run("cone", "GLADE+", "197.45037,-23.38148", 30, "--root", root))
    assert host["GWGC"] == "NGC4993"
