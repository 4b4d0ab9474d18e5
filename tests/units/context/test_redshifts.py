import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ampelstream.errors import UnitError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.builder import build
from ampelstream.sky.catalogs.sourcetable import read_table
from ampelstream.units import Dependency, Inputs, Resources
from ampelstream.units.context.catalogmatch import CatalogMatch
from ampelstream.units.context.redshifts import PRECISIONS, RULES, DigestRedshifts

CURVE = LightCurve("ZTF17test", [Datapoint(id=1, jd=2460000.5, fid=1, mag=19.0, ra=1.0, dec=1.0)])
NAN = float("nan")


def digested(*bodies: dict[str, Any], **config: Any) -> dict[str, Any]:
    dependencies = [Dependency("catalogs", f"c{n}", body) for n, body in enumerate(bodies)]
    inputs = Inputs(lightcurve=CURVE, dependencies=dependencies)
    found: dict[str, Any] = msgspec.to_builtins(DigestRedshifts(**config).compute(inputs))
    return found


def group_of(label: str, column: str, value: Any, apart: float) -> int | None:
    result = digested({label: {column: value, "dist2transient": apart}}, max_redshift_category=7)
    found: int | None = result.get("ampel_z_group")
    return found


# label, column, value, separation [arcsec], group; around every bound of the published rules
CASES: list[tuple[str, str, Any, float, int | None]] = [
    ("NEDz_extcats", "z", 0.029, 1.9, 1),
    ("NEDz_extcats", "z", 0.03, 1.9, 3),
    ("NEDz_extcats", "z", 0.029, 2.0, 3),
    ("NEDz_extcats", "z", 0.05, 1.0, 4),
    ("NEDz_extcats", "z", 0.049, 19.9, 3),
    ("NEDz_extcats", "z", 0.049, 20.0, 4),
    ("SDSS_spec", "z", 0.9, 9.9, 2),
    ("SDSS_spec", "z", 0.01, 10.0, None),
    ("GLADEv23", "z", 0.049, 9.9, 3),
    ("GLADEv23", "z", 0.05, 9.9, 4),
    ("GLADEv23", "z", 0.01, 10.0, None),
    ("GLADE+", "z_best", 0.049, 9.9, 3),
    ("GLADE+", "z_best", 0.05, 9.9, 4),
    ("GLADE+", "z_best", 0.01, 10.0, None),
    ("LSPhotoZZou", "specz", 0.149, 9.9, 2),
    ("LSPhotoZZou", "specz", 0.149, 10.0, 3),
    ("LSPhotoZZou", "specz", 0.15, 1.0, 3),
    ("LSPhotoZZou", "specz", 0.2, 1.0, 5),
    ("LSPhotoZZou", "photoz", 0.099, 29.0, 4),
    ("LSPhotoZZou", "photoz", 0.1, 29.0, 5),
    ("LSPhotoZZou", "photoz", 0.2, 1.0, 6),
    ("LSPhotoZZou", "photoz", 0.4, 1.0, 7),
    ("wiseScosPhotoz", "zPhoto_Corr", 0.199, 29.0, 5),
    ("wiseScosPhotoz", "zPhoto_Corr", 0.2, 29.0, 6),
    ("twoMPZ", "zPhoto", 0.029, 29.0, 3),
    ("twoMPZ", "zPhoto", 0.03, 29.0, 4),
    ("twoMPZ", "zSpec", 1.5, 29.0, 2),
    ("PS1_photoz", "z_phot", 99, 9.0, 4),
    ("PS1_photoz", "z_phot", 100, 9.0, 5),
    ("PS1_photoz", "z_phot", 200, 9.0, 6),
    ("PS1_photoz", "z_phot", 400, 9.0, 7),
    ("NEDz", "z", 0.399, 9.9, 3),
    ("NEDz", "z", 0.4, 9.9, None),
    ("NEDz", "z", 0.01, 10.0, None),
    ("milliquas", "z", 0.1, 1.0, None),
]


@pytest.mark.parametrize(("label", "column", "value", "apart", "group"), CASES)
def test_groups_as_ampel_has_them(
    label: str, column: str, value: float, apart: float, group: int | None
) -> None:
    assert group_of(label, column, value, apart) == group


def test_every_rule_has_a_case() -> None:
    tried = {(label, column, group) for label, column, _, _, group in CASES}
    assert {(rule.label, rule.column, rule.group) for rule in RULES} <= tried


@pytest.mark.parametrize("value", [None, NAN, -99, -99.0, -999.0, -0.1, math.inf, "0.1", True])
@pytest.mark.parametrize("label", ["NEDz_extcats", "SDSS_spec", "NEDz", "GLADEv23"])
def test_what_is_no_redshift_is_ignored(label: str, value: Any) -> None:
    assert group_of(label, "z", value, 1.0) is None


def test_small_blueshifts_count() -> None:
    assert group_of("GLADEv23", "z", -0.001, 1.0) == 3


def test_mean_of_the_best_group_only() -> None:
    result = digested(
        {
            "GLADEv23": {"z": 0.02, "dist2transient": 8.0},
            "NEDz": {"z": 0.04, "dist2transient": 4.0},
            "wiseScosPhotoz": [{"zPhoto_Corr": 0.1, "dist2transient": 20.0}],
            "milliquas": None,
        }
    )
    assert result["ampel_z"] == pytest.approx(0.03)
    assert result["ampel_dist"] == pytest.approx(6.0)
    assert result["ampel_z_group"] == 3
    assert result["group_z_precision"] == 0.01
    assert result["ampel_z_catalogs"] == ["GLADEv23", "NEDz"]
    assert result["group_zs"] == [[], [], [0.02, 0.04], [], [0.1], [], []]
    assert result["group_dists"] == [[], [], [8.0, 4.0], [], [20.0], [], []]


def test_each_row_of_a_list_and_each_column_counts() -> None:
    rows = [
        {"specz": -99.0, "photoz": 0.05, "dist2transient": 3.0},
        {"specz": 0.16, "photoz": 0.15, "dist2transient": 5.0},
    ]
    result = digested({"LSPhotoZZou": rows})
    assert result["group_zs"] == [[], [], [0.16], [0.05], [0.15], [], []]
    assert (result["ampel_z"], result["ampel_dist"]) == (0.16, 5.0)


def test_several_catalogue_matches_are_taken_together() -> None:
    result = digested(
        {"GLADEv23": {"z": 0.02, "dist2transient": 8.0}},
        {"NEDz": {"z": 0.04, "dist2transient": 4.0}},
    )
    assert result["ampel_z"] == pytest.approx(0.03)


@pytest.mark.parametrize("body", [{}, {"GLADEv23": None}, {"GLADEv23": []}, {"TNS": {"z": 0.1}}])
def test_without_a_redshift_there_is_no_ampel_z(body: dict[str, Any]) -> None:
    empty: list[list[float]] = [[] for _ in range(7)]
    assert digested(body) == {"group_zs": empty, "group_dists": empty}


def test_groups_behind_the_category_give_no_redshift() -> None:
    body = {"LSPhotoZZou": {"photoz": 0.7, "dist2transient": 3.0}}
    assert "ampel_z" not in digested(body)
    assert digested(body)["group_zs"][6] == [0.7]
    assert digested(body, max_redshift_category=7)["group_z_precision"] == 0.3
    near = {"SDSS_spec": {"z": 0.1, "dist2transient": 3.0}}
    assert "ampel_z" not in digested(near, max_redshift_category=1)


def test_columns_may_have_other_names() -> None:
    body = {"GLADEv23": {"z_helio": 0.02, "z": 0.5, "dist2transient": 8.0}}
    assert digested(body, redshift_columns={"GLADEv23": {"z": "z_helio"}})["ampel_z"] == 0.02


def test_further_rules_come_first() -> None:
    rule = {"label": "DESI", "column": "z", "group": 2, "within_arcsec": 10}
    body = {"DESI": {"z": 0.1, "dist2transient": 3.0}}
    assert digested(body, more_rules=[rule])["ampel_z_group"] == 2
    better = {"label": "GLADEv23", "column": "z", "group": 1, "below_z": 0.01}
    for redshift, group in ((0.005, 1), (0.02, 3)):
        found = digested({"GLADEv23": {"z": redshift, "dist2transient": 3.0}}, more_rules=[better])
        assert found["ampel_z_group"] == group
        assert sum(map(len, found["group_zs"])) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"max_redshift_category": 0},
        {"max_redshift_category": 8},
        {"redshift_columns": {"GLADE": {"z": "zz"}}},
        {"redshift_columns": {"GLADEv23": {"zed": "zz"}}},
        {"more_rules": [{"label": "a", "column": "z", "group": 9}]},
    ],
)
def test_impossible_configurations_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DigestRedshifts(**config)


def test_a_match_without_separation_is_named() -> None:
    with pytest.raises(UnitError, match="GLADEv23 has no dist2transient"):
        digested({"GLADEv23": {"z": 0.1}})


def test_without_a_catalogue_match_there_is_no_result() -> None:
    with pytest.raises(UnitError, match="no catalogue match"):
        digested()


LABELS = sorted({(rule.label, rule.column) for rule in RULES})


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(LABELS), st.floats(), st.floats(0.0, 60.0))
def test_a_redshift_is_in_one_group_at_most(
    known: tuple[str, str], value: float, apart: float
) -> None:
    label, column = known
    result = digested({label: {column: value, "dist2transient": apart}}, max_redshift_category=7)
    assert sum(map(len, result["group_zs"])) <= 1
    if "ampel_z" in result:
        assert result["ampel_z"] > -0.1
        assert result["group_z_precision"] == PRECISIONS[result["ampel_z_group"] - 1]


@pytest.mark.realdata
def test_redshift_of_at2017gfo(data_dir: Path, tmp_path: Path) -> None:
    build(tmp_path, "GLADE+", read_table(data_dir / "catalogs" / "glade_plus_lt150Mpc.parquet"))
    match = CatalogMatch.model_validate({"catalogs": {"GLADE+": {"radius_arcsec": 10}}})
    match.open(Resources(catalogs=CatalogStore(tmp_path)))
    point = Datapoint(id=1, jd=2457983.5, fid=1, mag=17.5, ra=197.45037, dec=-23.38148)
    body = match.compute(Inputs(lightcurve=LightCurve("AT2017gfo", [point])))
    result = digested(dict(body))
    assert result["ampel_z"] == pytest.approx(0.00785, abs=1e-5)
    assert result["ampel_dist"] == pytest.approx(9.97, abs=0.01)
    assert (result["ampel_z_group"], result["group_z_precision"]) == (3, 0.01)
    assert result["ampel_z_catalogs"] == ["GLADE+"]
