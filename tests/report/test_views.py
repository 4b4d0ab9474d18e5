from collections.abc import Callable

import msgspec
import pytest

from ampelstream.core.react import values_of
from ampelstream.model.candidate import Candidate, CandidateStatus, UnitResult
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.content import EventReport, ReplayReport
from ampelstream.report.quantities import DASH
from ampelstream.report.views import (
    arrange,
    counts_text,
    facts_of,
    first_text,
    latest_text,
    score_of,
    strays_text,
)

Make = Callable[..., Candidate]
MakeEvent = Callable[..., EventReport]
MakeReport = Callable[..., ReplayReport]


def test_events_with_candidates_come_first_then_by_time(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    events = [
        make_event("S3", t0_jd=2460303.0),
        make_event("S1", t0_jd=2460301.0),
        make_event("S2", t0_jd=2460302.0),
        make_event("S0", t0_jd=2460300.0, retracted=True),
    ]
    candidates = [
        make_candidate(event_id="S3"),
        make_candidate(event_id="S2"),
        make_candidate(event_id="S1", status=CandidateStatus.OUTSIDE, results=()),
    ]
    views = arrange(make_report(events, candidates))
    assert [view.event.event_id for view in views] == ["S2", "S3", "S0", "S1"]
    assert [view.anchor for view in views] == ["e1", "e2", "e3", "e4"]


def test_candidates_come_by_score_then_by_name(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    candidates = [
        make_candidate("d", None),
        make_candidate("b", 4),
        make_candidate("c", 9),
        make_candidate("a", 4),
    ]
    for order in (candidates, candidates[::-1]):
        listing = arrange(make_report([make_event()], order))[0].listings[0]
        assert [row.candidate.object_id for row in listing.active] == ["c", "a", "b", "d"]
        assert [row.label for row in listing.active] == ["1", "2", "3", "4"]
        assert listing.active[-1].score is None


def test_low_values_may_come_first(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    candidates = [make_candidate("a", 4), make_candidate("b", 2), make_candidate("c", None)]
    ranking = {"kilonova": ("KilonovaScore.kilonovaness", True)}
    listing = arrange(make_report([make_event()], candidates, ranking=ranking))[0].listings[0]
    assert [row.candidate.object_id for row in listing.active] == ["b", "a", "c"]


def test_channels_are_listed_apart_and_lettered(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    candidates = [make_candidate("a"), make_candidate("a", channel="afterglow")]
    ranking = {"kilonova": ("KilonovaScore.kilonovaness", False)}
    view = arrange(make_report([make_event()], candidates, ranking=ranking))[0]
    assert [(one.channel, one.active[0].label) for one in view.listings] == [
        ("afterglow", "A1"),
        ("kilonova", "B1"),
    ]
    # Without a ranking, the candidate's own rank counts.
    assert view.listings[0].score_path is None
    assert view.listings[0].active[0].score == 9


def test_a_candidate_without_its_event_is_still_shown(
    make_report: MakeReport, make_candidate: Make
) -> None:
    views = arrange(make_report([], [make_candidate(event_id="S999")]))
    assert [view.event.event_id for view in views] == ["S999"]
    assert len(views[0].active) == 1


def test_score_is_found_at_its_path(
    make_candidate: Make, make_result: Callable[..., UnitResult]
) -> None:
    deep = make_candidate(results=(make_result("Fit", {"best": {"chi2": 2.5}, "ok": True}),))
    assert score_of(deep, "Fit.best.chi2") == 2.5
    assert score_of(deep, "Fit.best") is None
    assert score_of(deep, "Fit.ok") is None
    assert score_of(deep, "Other.x") is None
    assert score_of(deep, "Fit.best.chi2.more") is None


def test_facts(make_candidate: Make, make_result: Callable[..., UnitResult]) -> None:
    body = {"searched_prob": 0.42}
    candidate = make_candidate(results=(make_result("Sky", body), make_result("Bad", None)))
    facts = facts_of(candidate, None)
    assert facts.level == 0.42
    assert facts.first_days == pytest.approx(0.6)
    assert facts.latest is not None
    assert facts.latest.mag == 19.1
    assert facts.detections == 2
    assert facts.redshift is None
    assert facts.distance_mpc is None


def test_distance_follows_from_the_redshift(
    make_candidate: Make, make_result: Callable[..., UnitResult]
) -> None:
    candidate = make_candidate(results=(make_result("Z", {"ampel_z": 0.00968}),))
    facts = facts_of(candidate, None)
    assert facts.redshift == 0.00968
    # 2.998e5 km/s * 0.00968 * (1 + 0.77 * 0.00968) / (67.74 km/s/Mpc), to second order in z.
    assert facts.distance_mpc == pytest.approx(43.16, abs=0.05)
    none = make_candidate(results=(make_result("Z", {"ampel_z": 0.0}),))
    assert facts_of(none, None).redshift is None


def test_level_falls_back_on_the_map(make_candidate: Make, make_map: Callable[..., object]) -> None:
    skymap = make_map(197.45, -23.38)
    level = facts_of(make_candidate(), skymap).level  # type: ignore[arg-type]  # a map by its looks
    assert level is not None
    assert level < 0.05


def test_facts_of_an_empty_candidate(make_candidate: Make) -> None:
    empty = make_candidate(lightcurve=(), results=(), ra=None, dec=None, t0_jd=None)
    facts = facts_of(empty, None)
    assert (facts.first_days, facts.latest, facts.level, facts.detections) == (None,) * 3 + (0,)


def test_what_is_fainter_than_the_reference_is_no_detection_and_never_the_latest(
    make_candidate: Make, detection: Callable[..., Datapoint]
) -> None:
    points = (
        detection(-1.0, 18.0, positive=False),
        detection(1.0, 19.0, positive=True),
        detection(2.0, 17.0, positive=True, forced=True),
        detection(3.0, 16.0, positive=False),
    )
    facts = facts_of(msgspec.structs.replace(make_candidate(), lightcurve=points), None)
    assert facts.latest == points[1]
    assert latest_text(facts) == "19.00 g"
    assert facts.first_days == pytest.approx(1.0)
    assert (facts.detections, facts.negative, facts.forced) == (1, 2, 1)
    assert counts_text(facts) == "1 detection, 2 negative, 1 forced"
    nothing = msgspec.structs.replace(make_candidate(), lightcurve=points[:1])
    assert latest_text(facts_of(nothing, None)) == first_text(facts_of(nothing, None)) == DASH
    assert values_of(nothing)["detections"] == 0
    assert values_of(msgspec.structs.replace(nothing, lightcurve=points))["detections"] == 1


def test_strays_are_told(make_candidate: Make) -> None:
    resting = make_candidate()
    assert strays_text(resting) == ""
    one = msgspec.structs.replace(resting, strays=1, scatter_arcsec=0.25)
    assert strays_text(one) == "1 detection lies more than 3″ away (median 0.25″)"
    many = msgspec.structs.replace(resting, strays=4, scatter_arcsec=145.25 * 3600)
    assert strays_text(many) == "4 detections lie more than 3″ away (median 145°)"
    assert (values_of(many)["strays"], values_of(many)["scatter_arcsec"]) == (4, 145.25 * 3600)
