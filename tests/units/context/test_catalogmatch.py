import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ampelstream.errors import CatalogError, UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.model.position import Position
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.builder import build
from ampelstream.sky.catalogs.sourcetable import SourceTable, read_table
from ampelstream.units import Inputs, Resources
from ampelstream.units.context.catalogmatch import CatalogMatch

ARCSEC = 1 / 3600
HOSTS: dict[str, Sequence[Any]] = {
    "ra": [150.0, 150.0, 150.0, 10.0],
    "dec": [20.0 + 2 * ARCSEC, 20.0 + 5 * ARCSEC, 20.0 - 8 * ARCSEC, 0.0],
    "z": [0.1, 0.02, float("nan"), 0.5],
    "name": ["near", "middle", "far", "elsewhere"],
}


def add(root: Path, name: str, columns: Mapping[str, Sequence[Any]], **options: Any) -> None:
    build(root, name, SourceTable(Path("table.csv"), pa.table(dict(columns))), **options)


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    add(tmp_path, "hosts", HOSTS)
    return Resources(catalogs=CatalogStore(tmp_path))


def unit(resources: Resources, **config: Any) -> CatalogMatch:
    made = CatalogMatch(**config)
    made.open(resources)
    return made


def inputs(*positions: tuple[float | None, float | None]) -> Inputs:
    points = [
        Datapoint(id=number, jd=2460000.5 + number, fid=1, mag=19.0, ra=ra, dec=dec)
        for number, (ra, dec) in enumerate(positions)
    ]
    return Inputs(lightcurve=LightCurve("ZTF17test", points))


AT_HOSTS = inputs((150.0, 20.0))


def test_nearest_row_with_its_separation(resources: Resources) -> None:
    body = unit(resources, catalogs={"hosts": {"radius_arcsec": 10}}).compute(AT_HOSTS)
    match = body["hosts"]
    assert match.pop("dist2transient") == pytest.approx(2.0, rel=1e-6)
    assert match == {"ra": 150.0, "dec": 20.0 + 2 * ARCSEC, "z": 0.1, "name": "near"}


def test_all_rows_nearest_first(resources: Resources) -> None:
    body = unit(resources, catalogs={"hosts": {"radius_arcsec": 10, "all": True}}).compute(AT_HOSTS)
    assert [row["name"] for row in body["hosts"]] == ["near", "middle", "far"]
    assert [row["dist2transient"] for row in body["hosts"]] == pytest.approx([2.0, 5.0, 8.0])
    assert body["hosts"][2]["z"] is None


@pytest.mark.parametrize("every", [False, True])
def test_no_match_is_none(resources: Resources, every: bool) -> None:  # noqa: FBT001  (parametrised)
    searching = unit(resources, catalogs={"hosts": {"radius_arcsec": 1, "all": every}})
    assert searching.compute(AT_HOSTS) == {"hosts": None}


def test_labels_are_the_keys_in_the_order_of_the_configuration(resources: Resources) -> None:
    searches = {
        label: {"catalog": "hosts", "radius_arcsec": radius}
        for label, radius in (("SDSS_spec", 10), ("milliquas", 1.5), ("GLADEv23", 3))
    }
    body = unit(resources, catalogs=searches).compute(AT_HOSTS)
    assert list(body) == ["SDSS_spec", "milliquas", "GLADEv23"]
    assert body["milliquas"] is None
    json.dumps(body, allow_nan=False)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ({"z": (0.002, 0.03)}, "middle"),
        ({"z": (0.02, None)}, "near"),
        ({"z": (None, 0.02)}, "middle"),
        ({"z": (None, None)}, "near"),
        ({"z": (0.02, 0.02), "dec": (0.0, None)}, "middle"),
        ({"z": (0.2, None)}, None),
        ({"name": (None, None)}, None),
    ],
)
def test_ranges_decide_before_the_nearest_is_taken(
    resources: Resources, where: dict[str, Any], name: str | None
) -> None:
    search = {"radius_arcsec": 10, "where": where, "columns": ["name"]}
    match = unit(resources, catalogs={"hosts": search}).compute(AT_HOSTS)["hosts"]
    assert (match and match["name"]) == name


def test_a_row_without_a_value_is_in_no_range(resources: Resources) -> None:
    search = {"radius_arcsec": 10, "all": True, "where": {"z": (None, 9.0)}}
    rows = unit(resources, catalogs={"hosts": search}).compute(AT_HOSTS)["hosts"]
    assert [row["name"] for row in rows] == ["near", "middle"]


def test_columns_and_their_new_names(resources: Resources) -> None:
    search = {"radius_arcsec": 10, "columns": ["z"], "rename": {"z": "redshift"}}
    match = unit(resources, catalogs={"hosts": search}).compute(AT_HOSTS)["hosts"]
    assert set(match) == {"redshift", "dist2transient"}


def test_around_the_object_or_its_first_detection(resources: Resources) -> None:
    blurred = inputs((None, None), (10.0, 0.0), (10.0, 2 * ARCSEC))
    searches = {"hosts": {"radius_arcsec": 15, "columns": ["name"]}}
    first = unit(resources, catalogs=searches, position="first").compute(blurred)["hosts"]
    assert first == {"name": "elsewhere", "dist2transient": 0.0}
    mean = unit(resources, catalogs=searches).compute(blurred)["hosts"]
    assert mean["dist2transient"] == pytest.approx(1.0, rel=1e-6)


def test_around_the_place_that_the_light_curve_was_given(resources: Resources) -> None:
    curve = inputs((10.0, 0.0), (10.0, 20 * ARCSEC)).lightcurve
    there = LightCurve(curve.object_id, curve.datapoints, Position(10.0, 5 * ARCSEC))
    searches = {"hosts": {"radius_arcsec": 15, "columns": ["name"]}}
    found = unit(resources, catalogs=searches).compute(Inputs(there))["hosts"]
    assert found["dist2transient"] == pytest.approx(5.0, rel=1e-6)


@pytest.mark.parametrize("position", ["first", "object"])
def test_an_object_without_a_position_is_named(resources: Resources, position: str) -> None:
    made = unit(resources, catalogs={"hosts": {"radius_arcsec": 1}}, position=position)
    with pytest.raises(UnitError, match="no detection of ZTF17test has a position"):
        made.compute(inputs((None, None)))


def test_a_unit_that_was_not_opened_says_so() -> None:
    with pytest.raises(UnitError, match="not opened"):
        CatalogMatch.model_validate({"catalogs": {"hosts": {"radius_arcsec": 1}}}).compute(AT_HOSTS)


def test_an_absent_catalogue_is_an_error_when_opening(resources: Resources) -> None:
    searches = {"quasars": {"catalog": "milliquas", "radius_arcsec": 1.5}}
    with pytest.raises(CatalogError, match=r"no catalogue milliquas .*catalogs add milliquas"):
        unit(resources, catalogs=searches)


def test_an_absent_optional_catalogue_is_reported_once_and_never_matches(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    searches = {
        "hosts": {"radius_arcsec": 10, "columns": ["name"]},
        "quasars": {"catalog": "milliquas", "radius_arcsec": 1.5, "optional": True},
    }
    with caplog.at_level(logging.WARNING):
        made = unit(resources, catalogs=searches)
        body = made.compute(AT_HOSTS)
        made.compute(AT_HOSTS)
    assert len(caplog.messages) == 1
    assert "no catalogue milliquas" in caplog.text
    assert "quasars is left out" in caplog.text
    assert made.left_out == ("quasars",)
    assert body["quasars"] is None
    assert body["hosts"]["name"] == "near"


def test_a_damaged_optional_catalogue_is_still_an_error(resources: Resources) -> None:
    (resources.catalogs.root / "hosts" / "catalog.json").write_text("{}")
    with pytest.raises(CatalogError, match="damaged"):
        unit(resources, catalogs={"hosts": {"radius_arcsec": 1, "optional": True}})


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"columns": ["zz"]}, "search hosts: catalogue hosts has no column zz; it has ra, dec, z"),
        ({"where": {"zz": (0, 1)}}, "no column zz"),
        ({"rename": {"zz": "z"}}, "no column zz"),
        ({"rename": {"z": "name"}}, "more than one name"),
        ({"rename": {"z": "dist2transient"}}, "more than one dist2transient"),
    ],
)
def test_columns_are_checked_when_opening(
    resources: Resources, search: dict[str, Any], message: str
) -> None:
    with pytest.raises(CatalogError, match=message):
        unit(resources, catalogs={"hosts": {"radius_arcsec": 1, **search}})


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"catalogs": {}},
        {"catalogs": {"a": {}}},
        {"catalogs": {"a": {"radius_arcsec": 0}}},
        {"catalogs": {"a": {"radius_arcsec": 1, "radius": 2}}},
        {"catalogs": {"a": {"radius_arcsec": 1}}, "position": "last"},
    ],
)
def test_impossible_configurations_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CatalogMatch.model_validate(config)


def test_the_fingerprint_has_the_catalogue_in_it(tmp_path: Path) -> None:
    config = {"catalogs": {"hosts": {"radius_arcsec": 1}}}

    def fingerprint() -> str:
        made = CatalogMatch.model_validate(config)
        closed = made.fingerprint()
        made.open(Resources(catalogs=CatalogStore(tmp_path)))
        assert made.fingerprint() != closed
        return made.fingerprint()

    add(tmp_path, "hosts", HOSTS)
    first = fingerprint()
    assert fingerprint() == first
    add(tmp_path, "hosts", {**HOSTS, "z": [0.2, 0.02, 0.1, 0.5]}, replace=True)
    assert fingerprint() != first


@pytest.mark.realdata
def test_host_of_at2017gfo(data_dir: Path, tmp_path: Path) -> None:
    table = read_table(data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet")
    build(tmp_path, "GLADE+", table)
    search = {"radius_arcsec": 10, "columns": ["GWGC", "z_best", "Dist"]}
    made = unit(Resources(catalogs=CatalogStore(tmp_path)), catalogs={"GLADE+": search})
    match = made.compute(inputs((197.45037, -23.38148)))["GLADE+"]
    assert match["GWGC"] == "NGC4993"
    assert match["dist2transient"] == pytest.approx(9.97, abs=0.01)
    assert made.compute(inputs((197.45037, -23.37))) == {"GLADE+": None}
