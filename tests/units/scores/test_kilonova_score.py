"""The kilonova score as a whole, and the unit around it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ampelstream.errors import DecodeError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units.inputs import Dependency, Inputs
from ampelstream.units.scores.kilonova import KilonovaScore
from ampelstream.units.scores.kilonova_cases import decode_case
from ampelstream.units.scores.kilonova_config import KilonovaRules
from ampelstream.units.scores.kilonova_score import score

POINTS = [
    {"jd": jd, "magpsf": 17.5, "ra": 197.45, "dec": -23.38, "rb": 0.9, "drb": 0.999}
    for jd in (2457983.5, 2457984.5)
]
# AT2017gfo on a ZTF-like cadence, as published with AMPEL's score (reference, section 4)
Result = tuple[str, dict[str, Any]]
REDSHIFT: Result = ("redshift", {"ampel_z": 0.00968, "ampel_dist": 9.95})
SKYMAP: Result = ("skymap", {"cumprob": 0.5, "map_dist": 38.6, "map_dist_unc": 7.0})
MODEL: dict[str, Any] = {
    "model_name": "bns",
    "z": 0.00968,
    "sncosmo_result": {"success": True, "chisq": 56.7, "ndof": 5},
    "fit_metrics": {"restpeak_model_absmag_B": -15.04, "obspeak_model_B": 18.2},
}
FIT: Result = ("possis", {"model_bns": MODEL})
FALL: Result = ("risedecline", {"bool_fall": True, "bool_peaked": False})


def test_at2017gfo_scores_19_in_ampel_and_20_corrected() -> None:
    results = [REDSHIFT, SKYMAP, FIT, FALL]
    ampel = score(KilonovaRules(mode="ampel"), POINTS, results)
    assert ampel.kilonovaness == 19
    ours = score(KilonovaRules(), POINTS, results)
    assert (ours.kilonovaness, ours.score_ampel) == (20, 19)
    assert ours.redshift == 0.00968
    assert len(ours.corrections) == 1
    assert (ampel.corrections, ampel.score_ampel) == ((), 19)


def test_the_most_without_a_burst() -> None:
    best = {**MODEL, "sncosmo_result": {"success": True, "chisq": 5.0, "ndof": 5}}
    best["fit_metrics"] = {"restpeak_model_absmag_B": -15.5, "obspeak_model_B": 20.0}
    peaked: Result = ("risedecline", {"bool_fall": True, "bool_peaked": True})
    results = [REDSHIFT, SKYMAP, ("possis", {"model_bns": best}), peaked]
    assert score(KilonovaRules(mode="ampel"), POINTS, results).kilonovaness == 22
    ours = score(KilonovaRules(), POINTS, results)
    assert ours.kilonovaness == 23
    assert ours.rejects == (("prob", 3),)
    assert ours.kilonovaness_dec == pytest.approx(23 / 24)
    assert ours.is_gold is True


def test_gold_is_none_instead_of_false_in_mode_ampel() -> None:
    assert score(KilonovaRules(mode="ampel"), POINTS, []).is_gold is None
    assert score(KilonovaRules(), POINTS, []).is_gold is False


def test_order_matters_for_the_distance() -> None:
    first = score(KilonovaRules(), POINTS, [REDSHIFT, SKYMAP])
    second = score(KilonovaRules(), POINTS, [SKYMAP, REDSHIFT])
    assert (first.dist_kilonovaness, second.dist_kilonovaness) == (5, 0)


def test_a_negative_score_has_rank_zero() -> None:
    far = ("skymap", {"cumprob": 0.99, "map_dist": 400.0, "map_dist_unc": 10.0})
    result = score(KilonovaRules(distance_mode="punish"), POINTS, [REDSHIFT, far])
    assert result.kilonovaness < 0
    assert result.kilonovaness_dec == 0


def test_unknown_kinds_and_odd_bodies_are_passed_over() -> None:
    odd: Any = None
    kinds = ("redshift", "skymap", "possis", "grb", "risedecline", "catalogs", "weather")
    result = score(KilonovaRules(), POINTS, [(kind, odd) for kind in kinds])
    assert result.kilonovaness == 0
    assert result.rejects[:3] == ("no_ampelz_match", "no_possis_fits", "no_grb_match")


VALUES = st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.lists(st.floats())
KEYS = st.sampled_from(
    [
        *("ampel_z", "ampel_dist", "cumprob", "map_dist", "map_dist_unc"),
        *("temporal_grb", "bool_fall", "bool_peaked"),
    ]
)
KINDS = st.sampled_from(["redshift", "skymap", "possis", "grb", "risedecline", "catalogs"])


@settings(max_examples=150, deadline=None)
@given(
    results=st.lists(st.tuples(KINDS, st.dictionaries(KEYS, VALUES)), max_size=6),
    points=st.lists(
        st.dictionaries(st.sampled_from(["jd", "magpsf", "ra", "dec", "rb", "drb"]), VALUES),
        max_size=3,
    ),
)
def test_nothing_crashes_it_and_it_always_adds_up(
    results: list[tuple[str, dict[str, Any]]], points: list[dict[str, Any]]
) -> None:
    result = score(KilonovaRules(), points, results)
    assert result.kilonovaness == sum(line.points for line in result.why)
    assert 0 <= result.kilonovaness_dec < 1 or result.rejects == ()
    assert result.is_gold is (result.kilonovaness_dec > 0.9)


def test_the_unit() -> None:
    def point(jd: float, mag: float, *, positive: bool = True) -> Datapoint:
        return Datapoint(
            id=int(jd * 10), jd=jd, fid=1, mag=mag, ra=197.45, dec=-23.38,
            rb=0.9, drb=0.999, positive=positive,
        )  # fmt: skip

    curve = LightCurve(
        "ZTF17a",
        [
            point(2457983.5, 17.5),
            point(2457984.5, 18.5),
            point(2457984.7, 12.0, positive=False),
            Datapoint(id=9, jd=2457980.0, fid=1, limmag=20.0),
        ],
    )
    dependencies = tuple(
        Dependency(provides, provides.title(), body)
        for provides, body in (REDSHIFT, SKYMAP, FIT, FALL)
    )
    unit = KilonovaScore()
    body = msgspec.to_builtins(unit.compute(Inputs(curve, dependencies=dependencies)))
    assert body["kilonovaness"] == 20.0
    assert body["rejects"] == (("prob", 3), "obsmag")
    assert body["mode"] == "corrected"
    assert {"part", "points", "text"} == set(body["why"][0])
    assert unit.needs == ()
    assert set(unit.uses) >= {"redshift", "skymap", "possis"}


def test_ranges_are_checked() -> None:
    with pytest.raises(ValidationError, match="min_redshift must be below max_redshift"):
        KilonovaScore(min_redshift=0.2)
    with pytest.raises(ValidationError, match="mode"):
        KilonovaScore.model_validate({"mode": "ample"})


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"name": "a"}', b'{"name": "a", "input": {"results": [1]}}']
)
def test_broken_cases(line: bytes) -> None:
    with pytest.raises(DecodeError, match="not a case"):
        decode_case(line)
