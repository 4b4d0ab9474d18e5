"""The kilonova score: each part at the boundary of its rule, the whole, and the unit around it."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ampelstream.errors import DecodeError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.units import Dependency, Inputs
from ampelstream.units.scores import kilonova
from ampelstream.units.scores.kilonova import (
    KilonovaRules,
    KilonovaScore,
    Line,
    absolute_magnitude,
    light_curve,
    possis,
    score,
)
from ampelstream.units.scores.kilonova_cases import decode_case

# Parts

RULES = KilonovaRules()
GOOD = {"jd": 1.0, "magpsf": 19.0, "ra": 180.0, "dec": 60.0, "rb": 0.9, "drb": 0.999}


def outcome(part: Iterable[Line]) -> tuple[list[int], list[Any]]:
    lines = list(part)
    return [line.points for line in lines], [line.reject for line in lines if line.reject]


@pytest.mark.parametrize(
    ("z", "offset", "expected"),
    [
        (0.01, 10.0, ([1, 1, 1], [])),
        (0.001, 10.0, ([0, 1, 1], ["redshift"])),
        (0.05, 10.0, ([0, 1, 1], ["redshift"])),
        (0.01, 1.5, ([1, 0, 1], ["ampel_dist"])),
        (0.01, 50.0, ([1, 0, 1], ["ampel_dist"])),
        (3.0, 49.0, ([0, 1, 1], ["redshift"])),
        (0.03, 3000.0, ([1, 0, 0], ["ampel_dist", "dst_kpc_zmatch"])),
        (0.01, None, ([1, 0, 0], ["ampel_dist", "dst_kpc_zmatch"])),
        (-0.01, 10.0, ([0, 1, 0], ["redshift", "dst_kpc_zmatch"])),
        (0, 10.0, ([0], ["no_ampelz_match"])),
        (None, 10.0, ([0], ["no_ampelz_match"])),
    ],
)
def test_redshift(z: float | None, offset: float | None, expected: tuple[Any, Any]) -> None:
    assert outcome(kilonova.redshift(RULES, {"ampel_z": z, "ampel_dist": offset})) == expected


def test_offset_in_kpc() -> None:
    # at z = 0.01 an arc second is 0.21 kpc
    near = KilonovaRules(max_kpc_dist=2.2)
    far = KilonovaRules(max_kpc_dist=2.0)
    body = {"ampel_z": 0.01, "ampel_dist": 10.0}
    assert outcome(kilonova.redshift(near, body)) == ([1, 1, 1], [])
    assert outcome(kilonova.redshift(far, body)) == ([1, 1, 0], ["dst_kpc_zmatch"])


@pytest.mark.parametrize(
    ("cumprob", "expected"),
    [
        (0.1, ([3], [("prob", 3)])),
        (0.68, ([3], [("prob", 3)])),
        (0.6801, ([1], [("prob", 1)])),
        (0.95, ([1], [("prob", 1)])),
        (0.9501, ([0], [("prob", 0)])),
        (0.0, ([0], [])),
        (None, ([0], [])),
        (float("nan"), ([0], [])),
    ],
)
def test_position(cumprob: float | None, expected: tuple[Any, Any]) -> None:
    assert outcome(kilonova.skymap(RULES, {"cumprob": cumprob}, None)) == expected


@pytest.mark.parametrize(
    ("mode", "agree", "disagree"), [("reward", 5, 0), ("punish", 0, -20), ("pass", 1, 0)]
)
def test_distance(mode: str, agree: int, disagree: int) -> None:
    rules = KilonovaRules.model_validate({"distance_mode": mode})
    # the luminosity distance of z = 0.01 is 44.6 Mpc
    near = kilonova.skymap(rules, {"map_dist": 30.0, "map_dist_unc": 5.0}, 0.01)
    far = kilonova.skymap(rules, {"map_dist": 30.0, "map_dist_unc": 4.8}, 0.01)
    assert outcome(near)[0][0] == agree
    assert outcome(far) == ([disagree, 0], ["distance_mismatch"])


@pytest.mark.parametrize(
    "body", [{}, {"map_dist": None, "map_dist_unc": None}, {"map_dist": 40.0, "map_dist_unc": 0.0}]
)
def test_a_map_without_distance_costs_its_points_only(body: dict[str, Any]) -> None:
    assert outcome(kilonova.skymap(RULES, body, 0.01)) == ([0, 0], [])


def test_distance_is_not_compared_without_a_redshift() -> None:
    body = {"map_dist": 300.0, "map_dist_unc": 1.0, "cumprob": 0.5}
    assert outcome(kilonova.skymap(RULES, body, None)) == ([3], [("prob", 3)])


def test_bursts() -> None:
    inside = {"separation": 3.0, "err": 1.0}
    outside = {"separation": 3.01, "err": 1.0}
    assert outcome(kilonova.bursts({"temporal_grb": [inside, outside, inside]})) == ([1, 1], [])
    nothing: list[Any] = [[outside], [], None, [{"separation": None, "err": 1.0}], [{}], ["?"]]
    for none in nothing:
        assert outcome(kilonova.bursts({"temporal_grb": none})) == ([0], ["no_grb_match"])
    assert outcome(kilonova.bursts({})) == ([0], ["no_grb_match"])


def test_rise_decline() -> None:
    assert outcome(kilonova.rise_decline({"bool_fall": True, "bool_peaked": True})) == ([1, 1], [])
    assert outcome(kilonova.rise_decline({"bool_fall": True})) == ([1, 0], [])
    assert outcome(kilonova.rise_decline({})) == ([0, 0], [])


def test_catalogs_note_every_match() -> None:
    body = {"GLADE+": [{"z": 0.1}], "milliquas": None, "TNS": {"name": "x"}, "NEDz": []}
    assert outcome(kilonova.catalogs(body)) == ([0, 0], ["GLADE+", "TNS"])


def fit(chisq: float, ndof: float, rest: float | None = -99, seen: float | None = -99) -> Any:
    return {
        "model_name": "m",
        "z": 0.01,
        "sncosmo_result": {"success": True, "chisq": chisq, "ndof": ndof},
        "fit_metrics": {"restpeak_model_absmag_B": rest, "obspeak_model_B": seen},
    }


@pytest.mark.parametrize(
    ("chisq", "points"),
    [(0.749, 0), (0.75, 3), (7.5, 3), (7.51, 2), (22.0, 2), (22.01, 1), (40.0, 1), (40.01, 0)],
)
def test_chi2(chisq: float, points: int) -> None:
    assert outcome(possis({"model_a": fit(chisq, 1)})) == ([points, 0, 0], ["obsmag", "absmag"])


@pytest.mark.parametrize(
    ("rest", "points"),
    [(-15.5, 5), (-15.01, 5), (-15.0, 2), (-13.6, 2), (-13.5, 1), (-11.6, 1), (-19.4, 1)],
)
def test_absolute_peak(rest: float, points: int) -> None:
    assert outcome(possis({"model_a": fit(100, 1, rest)})) == ([0, 0, points], ["obsmag"])


@pytest.mark.parametrize(("rest", "seen"), [(-11.5, 19.0), (-19.5, 21.0), (None, None)])
def test_brightness_outside(rest: float | None, seen: float | None) -> None:
    assert outcome(possis({"model_a": fit(100, 1, rest, seen)})) == (
        [0, 0, 0],
        ["obsmag", "absmag"],
    )


def test_the_fit_closest_to_one_counts() -> None:
    body = {"model_a": fit(30, 1), "model_b": fit(8, 2), "model_c": fit(0.1, 1, seen=20)}
    assert outcome(possis(body))[0] == [0, 1, 0]


def test_no_freedom_says_nothing() -> None:
    assert outcome(possis({"model_a": fit(5, 0, -15.5, 20)})) == ([0], ["possis_ndof"])
    # its chi2 counts as -99, so that any real fit is closer to 1
    assert outcome(possis({"model_a": fit(5, 0), "model_b": fit(90, 1)}))[0] == [0, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model_a": None, "note": "text"},
        {"model_a": {**fit(5, 1), "z": None}},
        {"model_a": {**fit(5, 1), "sncosmo_result": {"success": False, "chisq": 1, "ndof": 1}}},
        {"model_a": {**fit(5, 1), "sncosmo_result": {"success": True, "chisq": None}}},
        {"model_a": {**fit(5, 1), "sncosmo_result": None}},
    ],
)
def test_no_fits(body: dict[str, Any]) -> None:
    assert outcome(possis(body)) == ([0], ["no_possis_fits"])


@pytest.mark.parametrize(
    ("points", "rejects"),
    [
        ([GOOD, {**GOOD, "jd": 1.01}], []),
        ([GOOD, {**GOOD, "jd": 1.009}], ["age"]),
        ([GOOD, {**GOOD, "jd": 11.0}], []),
        ([GOOD, {**GOOD, "jd": 11.01}], ["age"]),
        ([GOOD], ["age"]),
        ([GOOD, {**GOOD, "jd": 2.0, "magpsf": 16.0}], []),
        ([GOOD, {**GOOD, "jd": 2.0, "magpsf": 15.99}], ["peak_mag"]),
        ([{**GOOD, "magpsf": 22.0}, {**GOOD, "jd": 2.0, "magpsf": 23.0}], []),
        ([{**GOOD, "magpsf": 22.01}, {**GOOD, "jd": 2.0, "magpsf": 23.0}], ["peak_mag"]),
        ([{**GOOD, "dec": -60.0, "jd": jd} for jd in (1.0, 2.0)], ["min_gal_lat"]),
        ([{**GOOD, "rb": 0.29, "jd": jd} for jd in (1.0, 2.0)], ["rb_minmed"]),
        ([{**GOOD, "rb": 0.1}, {**GOOD, "jd": 2.0, "rb": 0.5}], []),
        ([{**GOOD, "drb": 0.99}, {**GOOD, "jd": 2.0, "drb": None}], ["drb_minmed"]),
        ([{**GOOD, "drb": None}, {**GOOD, "jd": 2.0, "drb": None}], ["no_drb_info"]),
        ([{**GOOD, "rb": None}, {**GOOD, "jd": 2.0, "rb": None}], ["no_rb_info"]),
        ([], ["no_pps"]),
        ([{}], ["age", "peak_mag", "no_rb_info", "no_drb_info"]),
    ],
)
def test_light_curve(points: list[dict[str, Any]], rejects: list[str]) -> None:
    assert outcome(light_curve(RULES, points)) == ([0] * len(rejects), rejects)


def test_too_few() -> None:
    rules = KilonovaRules(min_ndet=2)
    assert outcome(light_curve(rules, [GOOD]))[1] == ["too_few_pps", "age"]


def test_mean_latitude_across_zero() -> None:
    # at RA 0, dec -65 the latitude is -52 deg; half a turn away, where AMPEL looks, it is -2 deg
    points = [{**GOOD, "ra": ra, "dec": -65.0, "jd": ra} for ra in (359.9, 0.1)]
    points[0]["jd"] = 1.0
    assert outcome(light_curve(RULES, points))[1] == []
    assert outcome(light_curve(KilonovaRules(mode="ampel"), points))[1] == ["min_gal_lat"]


@pytest.mark.parametrize(
    ("mag", "expected"),
    [(19.0, (1, None)), (13.2, (0, "absmag_from_lc")), (21.3, (0, "absmag_from_lc"))],
)
def test_absolute_magnitude(mag: float, expected: tuple[int, str | None]) -> None:
    # the distance modulus of z = 0.01 is 33.25 mag
    line = absolute_magnitude(RULES, [{**GOOD, "magpsf": mag}], 0.01)
    assert (line.points, line.reject) == expected


def test_absolute_magnitude_of_mode_ampel_and_of_nothing() -> None:
    ampel = KilonovaRules(mode="ampel")
    assert absolute_magnitude(ampel, [GOOD], 0.01).reject == "absmag_from_lc"
    for points, z in (([], 0.01), ([GOOD], None), ([GOOD], -0.1), ([{}], 0.01)):
        assert absolute_magnitude(RULES, points, z).reject == "no_absmag_calculated"


# The whole

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
