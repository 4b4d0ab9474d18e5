"""DecentFilter rule by rule, at the boundary of each."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ampelstream.model.alert import Alert
from ampelstream.units.filters.decent import DecentFilter

MakeAlert = Callable[..., Alert]
Cuts = dict[str, Any]

NUMERIC = (
    *("rb", "fwhm", "elong", "magdiff", "nbad", "ssdistnr", "ra", "dec"),
    *("distpsnr1", "distpsnr2", "distpsnr3", "sgscore1", "sgscore2", "sgscore3"),
)
REQUIRED = ("isdiffpos", *NUMERIC)


def reason(cuts: Cuts, alert: Alert) -> str | None:
    verdict = DecentFilter(**cuts).evaluate(alert)
    assert verdict.accept is (verdict.reason == "")
    return verdict.reason or None


def test_a_good_alert_passes(cuts: Cuts, make_alert: MakeAlert) -> None:
    assert reason(cuts, make_alert()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"isdiffpos": "f"}, "isdiffpos"),
        ({"isdiffpos": "0"}, "isdiffpos"),
        ({"isdiffpos": 0}, "isdiffpos"),
        ({"isdiffpos": False}, "isdiffpos"),
        ({"isdiffpos": "1"}, None),
        ({"isdiffpos": True}, None),
        ({"isdiffpos": 1}, None),
        ({"rb": 0.3}, None),
        ({"rb": 0.2999}, "rb"),
        ({"drb": 0.995}, None),
        ({"drb": 0.9949}, "drb"),
        ({"drb": None}, "drb"),
        ({"fwhm": 5.5}, None),
        ({"fwhm": 5.51}, "fwhm"),
        ({"elong": 2.0}, None),
        ({"elong": 2.01}, "elong"),
        ({"magdiff": 1.0}, None),
        ({"magdiff": -1.0}, None),
        ({"magdiff": 1.01}, "magdiff"),
        ({"magdiff": -1.01}, "magdiff"),
        ({"nbad": 99}, None),
        ({"jdendhist": 2460320.5 + 100}, "archive_tspan"),
        ({"jdendhist": 2460320.5 + 99.9}, None),
        ({"jdendhist": 2460320.5 - 99}, "archive_tspan"),
        ({"jdendhist": 2460320.5 - 98.9}, None),
        ({"jdendhist": None}, None),
        ({"jdstarthist": None}, None),
        ({"ssdistnr": 0.0}, "ssdistnr"),
        ({"ssdistnr": 19.9}, "ssdistnr"),
        ({"ssdistnr": 20.0}, None),
        ({"ssdistnr": -0.1}, None),
        ({"ra": 266.4, "dec": -28.9}, "galPlane"),
        ({"distpsnr1": 0.99, "sgscore1": 0.81}, "distpsnr1"),
        ({"distpsnr1": 1.0, "sgscore1": 0.81}, None),
        ({"distpsnr1": 0.99, "sgscore1": 0.8}, None),
    ],
)
def test_each_rule_at_its_boundary(
    cuts: Cuts, make_alert: MakeAlert, changes: dict[str, Any], expected: str | None
) -> None:
    assert reason(cuts, make_alert(**changes)) == expected


@pytest.mark.parametrize("key", REQUIRED)
def test_absent_and_null_keys_are_missing(cuts: Cuts, make_alert: MakeAlert, key: str) -> None:
    assert reason(cuts, make_alert(without=key)) == "missing"
    assert reason(cuts, make_alert(**{key: None})) == "missing"


def test_missing_comes_before_what_is_wrong(cuts: Cuts, make_alert: MakeAlert) -> None:
    assert reason(cuts, make_alert(isdiffpos="f", rb=0.0, nbad=None)) == "missing"
    assert reason(cuts, make_alert(isdiffpos="f", rb=0.0)) == "isdiffpos"
    assert reason(cuts, make_alert(rb=0.0, drb=0.0)) == "rb"


def test_drb_is_optional(cuts: Cuts, make_alert: MakeAlert) -> None:
    assert reason(cuts, make_alert(without="drb")) is None
    assert reason({**cuts, "min_drb": 0}, make_alert(drb=None)) is None
    assert reason({**cuts, "min_drb": 0}, make_alert(drb=0.0)) is None


def test_nbad_counts_only_when_told_to(cuts: Cuts, make_alert: MakeAlert) -> None:
    told = {**cuts, "apply_max_nbad": True}
    assert reason(told, make_alert(nbad=3)) == "nbad"
    assert reason(told, make_alert(nbad=2)) is None


def test_history(cuts: Cuts, make_alert: MakeAlert) -> None:
    two = {**cuts, "min_ndet": 2, "min_tspan": 0.5, "max_tspan": 5}
    assert reason(two, make_alert()) == "nDet"
    assert reason(two, make_alert(earlier=[2460325.25])) == "tSpan"
    assert reason(two, make_alert(earlier=[2460325.0])) is None
    assert reason(two, make_alert(earlier=[2460320.5])) is None
    assert reason(two, make_alert(earlier=[2460320.25])) == "tSpan"
    # a later detection counts as well, and both rules come before all others
    assert reason(two, make_alert(earlier=[2460331.0], without="rb")) == "tSpan"


@pytest.mark.parametrize(("config", "reads"), [({}, 1), ({"max_tspan": math.inf}, 0)])
def test_history_is_read_only_where_it_can_fail(
    cuts: Cuts, make_alert: MakeAlert, config: Cuts, reads: int
) -> None:
    alert = make_alert(earlier=[2460325.25])
    assert reason({**cuts, **config}, alert) is None
    assert getattr(alert.history, "read") == reads  # noqa: B009  (the protocol has no counter)


def test_confusion_needs_three_close_sources_of_unknown_kind(
    cuts: Cuts, make_alert: MakeAlert
) -> None:
    near = dict.fromkeys(("distpsnr1", "distpsnr2", "distpsnr3"), 2.9)
    vague = dict.fromkeys(("sgscore1", "sgscore2", "sgscore3"), 0.55)
    assert reason(cuts, make_alert(**near, **vague)) == "ps1Confusion"
    assert reason(cuts, make_alert(**{**near, "distpsnr2": 3.0}, **vague)) is None
    assert reason(cuts, make_alert(**near, **{**vague, "sgscore3": 0.3})) is None


def test_plane_cut_switched_off(cuts: Cuts, make_alert: MakeAlert) -> None:
    in_plane = make_alert(ra=266.4, dec=-28.9)
    assert reason({**cuts, "min_gal_lat": -1}, in_plane) is None


def test_keys_are_checked(cuts: Cuts) -> None:
    with pytest.raises(ValidationError, match="min_rbb"):
        DecentFilter.model_validate({**cuts, "min_rbb": 0.3})
    with pytest.raises(ValidationError, match="min_rb"):
        DecentFilter.model_validate({**cuts, "min_rb": "high"})


def test_one_key_suffices(make_alert: MakeAlert) -> None:
    """The defaults are those of a search for transients; no catalogue is needed for them."""
    cuts = DecentFilter(min_ndet=1)
    assert (cuts.min_ndet, DecentFilter().min_ndet) == (1, 2)
    assert (cuts.min_tspan, cuts.max_tspan) == (0, 365)
    assert (cuts.min_rb, cuts.max_elong, cuts.min_gal_lat, cuts.gaia_rs) == (0.3, 1.4, 14, 0)
    assert cuts.evaluate(make_alert()).accept
    assert DecentFilter().evaluate(make_alert()).reason == "nDet"


NUMBERS = st.floats(allow_nan=False, width=32)


@settings(max_examples=100, deadline=None)
@given(fields=st.dictionaries(st.sampled_from(NUMERIC), NUMBERS))
def test_any_numbers_give_a_verdict_and_loosening_never_rejects(fields: dict[str, float]) -> None:
    base: Cuts = {
        "min_ndet": 1,
        "min_tspan": 0,
        "max_tspan": math.inf,
        "min_archive_tspan": -1,
        "max_archive_tspan": 100,
        "min_drb": 0,
        "min_rb": 0.3,
        "max_fwhm": 5.5,
        "max_elong": 2,
        "max_magdiff": 1,
        "max_nbad": 2,
        "min_sso_dist": 20,
        "min_gal_lat": 0,
        "ps1_sgveto_rad": 1,
        "ps1_sgveto_th": 0.8,
        "ps1_confusion_rad": 3,
        "ps1_confusion_sg_tol": 0.1,
        "gaia_rs": 0,
        "gaia_pm_signif": 3,
        "gaia_plx_signif": 3,
        "gaia_veto_gmag_min": 9,
        "gaia_veto_gmag_max": 20,
        "gaia_excessnoise_sig_max": 999,
    }
    candidate = {**dict.fromkeys(REQUIRED, 1.0), "isdiffpos": "t", **fields}
    alert = Alert(
        survey="ztf", object_id="Z", candid=1, jd=1.0, ra=0.0, dec=0.0,
        candidate=candidate, history=_Nothing(),
    )  # fmt: skip
    strict = DecentFilter(**base).evaluate(alert)
    loose = DecentFilter(**{**base, "min_rb": -math.inf, "max_fwhm": math.inf}).evaluate(alert)
    assert loose.accept or not strict.accept


class _Nothing:
    def epochs(self) -> tuple[float, ...]:
        raise AssertionError("the history was read though it cannot fail")

    def points(self) -> tuple[dict[str, Any], ...]:
        return ()

    def forced(self) -> tuple[dict[str, Any], ...]:
        return ()
