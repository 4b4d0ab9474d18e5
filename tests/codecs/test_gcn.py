"""Notices in GCN's unified schema: what missions do with it."""

import json
from typing import Any

import pytest

from ampelstream.codecs import gcn, notices
from ampelstream.errors import DecodeError
from ampelstream.model.event import EventRevision, in_order

GOOD: dict[str, Any] = {
    "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/swift/bat/alert.schema.json",
    "mission": "SWIFT",
    "instrument": "BAT",
    "messenger": "EM",
    "alert_datetime": "2026-05-26T21:55:44.453",
    "alert_tense": "current",
    "alert_type": "initial",
    "id": ["1253910"],
    "trigger_time": "2026-05-26T21:55:00Z",
    "ra": 124.6,
    "dec": 33.9,
    "ra_dec_error": 0.05,
}


def said(**changes: Any) -> EventRevision:
    row = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    return notices.decode(json.dumps(row).encode()).revision


def circles(**changes: Any) -> list[tuple[float, ...]]:
    row = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    found = gcn.decode(json.dumps(row).encode()).ellipses
    return [
        (one.ra, one.dec, one.semi_major, one.semi_minor, one.angle, one.containment)
        for one in found
    ]


def test_a_time_without_a_zone_is_utc() -> None:
    assert said().time_created == "2026-05-26T21:55:44.453Z"
    assert said(trigger_time="2026-05-26T21:55:00").t0_jd == said().t0_jd
    assert said(trigger_time="26-5-26T21:55:00Z").t0_jd == said().t0_jd  # GECAM
    assert said(trigger_time="2026-05-26 23:55:00+02:00").t0_jd == said().t0_jd


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Swift-1253910"),
        ({"id": "1253910"}, "Swift-1253910"),
        ({"id": 1253910}, "Swift-1253910"),
        ({"id": [1253910]}, "Swift-1253910"),
        ({"id": ["bn260526", "1253910"], "event_name": "GRB 260526A"}, "Swift-1253910"),
        ({"id": ["1253910", "bn260526"]}, "Swift-1253910"),
        ({"id": ..., "event_name": ["GRB 260526A"]}, "Swift-GRB 260526A"),
        ({"mission": ...}, "Swift-1253910"),
        ({"$schema": ...}, "Swift-1253910"),
        ({"$schema": ..., "mission": "Einstein Probe", "id": ["0170"]}, "EP-170"),
        ({"$schema": ..., "mission": "New One"}, "New One-1253910"),
        ({"$schema": ..., "mission": ...}, "GCN-1253910"),
        (
            {"$schema": ..., "mission": "IceCube", "id": ["140078_30891383"]},
            "IceCube-140078_30891383",
        ),
        ({"mission": "IceCube", "id": ..., "event_name": "IceCube-230416A"}, "IceCube-230416A"),
        (
            {"$schema": ..., "mission": "IceCube", "id": ..., "ref_ID": "S230914ak"},
            "IceCube-S230914ak",
        ),
    ],
)
def test_the_event_has_the_name_of_its_trigger(changes: dict[str, Any], name: str) -> None:
    assert said(**changes).event_id == name


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "grb"),
        ({"$schema": ..., "mission": "IceCube"}, "neutrino"),
        ({"$schema": ..., "mission": "CHIME"}, "frb"),
        ({"$schema": ..., "mission": "MAXI"}, "xray"),
        ({"$schema": ..., "mission": "Baikal", "messenger": "Neutrino"}, "neutrino"),
        ({"$schema": ..., "mission": "Somebody"}, "other"),
        (
            {
                "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/fermi/lat/flare/flare.schema.json"
            },
            "other",
        ),
    ],
)
def test_kinds(changes: dict[str, Any], kind: str) -> None:
    assert said(**changes).kind == kind


@pytest.mark.parametrize("tense", ["test", "injection", "commanded"])
def test_what_is_no_observation_is_marked(tense: str) -> None:
    assert said(alert_tense=tense).test
    assert not said(alert_tense="archival").test
    assert not said(alert_tense=...).test
    by_schema = "https://gcn.nasa.gov/schema/v6.1.0/gcn/notices/burstcube/test.schema.json"
    assert said(**{"$schema": by_schema}).test


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(124.6, 33.9, 0.05, 0.05, 0.0, 0.9)]),
        ({"ra_dec_error": [0.05]}, [(124.6, 33.9, 0.05, 0.05, 0.0, 0.9)]),
        ({"ra_dec_error": [0.05, 0.02]}, [(124.6, 33.9, 0.05, 0.02, 0.0, 0.9)]),
        ({"ra_dec_error": [0.5, 0.6, 30]}, [(124.6, 33.9, 0.5, 0.6, 30.0, 0.9)]),
        ({"containment_probability": 0.68}, [(124.6, 33.9, 0.05, 0.05, 0.0, 0.68)]),
        ({"containment_probability": 68}, [(124.6, 33.9, 0.05, 0.05, 0.0, 0.68)]),
        ({"ra_dec_error": ...}, []),
        ({"ra_dec_error": 0}, []),
        ({"ra": ...}, []),
        ({"dec": 95.0}, []),
        ({"alert_type": "retraction"}, []),
    ],
)
def test_errors_in_every_form(changes: dict[str, Any], expected: list[tuple[float, ...]]) -> None:
    assert circles(**changes) == expected


def test_gbm_leaves_out_its_systematic_error() -> None:
    gbm = {"$schema": ..., "mission": "Fermi", "instrument": "GBM", "ra_dec_error": 1.0}
    [(*_, radius, _, _, containment)] = circles(**gbm, systematic_included=False)
    assert radius == pytest.approx((1 + 3.7**2) ** 0.5)
    assert containment == 0.68
    [(*_, radius, _, _, _)] = circles(**gbm, systematic_included=True)
    assert radius == 1.0
    # the same sigma, said at another containment
    [(*_, radius, _, _, containment)] = circles(**gbm, containment_probability=0.9)
    assert radius == pytest.approx((1 + (3.7 * 1.42146) ** 2) ** 0.5, rel=1e-4)
    assert "systematic" in said(**gbm).notes[0]


def test_a_rectangle_is_the_ellipse_of_its_area() -> None:
    corners = [[359.5, 0.2], [359.5, -0.2], [0.5, -0.2], [0.5, 0.2]]
    [(*_, one, other, angle, _)] = circles(
        ra=0.0, dec=0.0, ra_dec_error=..., rectangular_error_corners=corners
    )
    assert one * other * 3.14159265 == pytest.approx(0.4 * 1.0)
    assert other / one == pytest.approx(2.5)
    assert angle % 180 == pytest.approx(0.0, abs=1e-9)  # the first side goes south


def test_a_search_for_neutrinos_has_the_events_that_it_found() -> None:
    found = [
        {"localization": {"ra": 17.5, "dec": 16.2, "ra_dec_error": 0.5}},
        {"localization": {"ra": 13.8, "dec": 18.7, "ra_dec_error": 0.7}},
    ]
    changes = {"ra": ..., "dec": ..., "ra_dec_error": ..., "coincident_events": found}
    assert [one[:3] for one in circles(**changes)] == [(17.5, 16.2, 0.5), (13.8, 18.7, 0.7)]
    direction = {"ra": 17.49, "dec": 16.18}
    revision = said(**changes, most_probable_direction=direction, ref_ID="S230914ak")
    assert (revision.ra, revision.dec, revision.follows) == (17.49, 16.18, "S230914ak")


def test_of_too_many_coincident_events_there_is_no_map() -> None:
    """A hundred narrow ones would keep the ingest step for minutes."""
    one = {"localization": {"ra": 17.5, "dec": 16.2, "ra_dec_error": [1.0, 0.01, 0.0]}}
    changes = {"ra": ..., "dec": ..., "ra_dec_error": ..., "coincident_events": [one] * 21}
    assert circles(**changes) == []
    assert "21 coincident events: of more than 20 no sky map is made" in said(**changes).notes


def test_a_right_ascension_beyond_a_turn_is_no_position() -> None:
    assert said(ra=1e300).ra is None
    assert circles(ra=1e300) == []


def test_what_cannot_be_understood_costs_itself_only() -> None:
    odd = said(
        far="often", p_astro=True, record_number="2", alert_type="rumour", alert_datetime="noon",
        healpix_file="stuff", classification={"GRB": 1, "SGR": "no", "SF": {"a": 1}},
    )  # fmt: skip
    assert (odd.far, odd.signalness, odd.record_number, odd.time_created) == (None, None, 2, "")
    assert odd.classification == {"GRB": 1.0}
    assert said(classification={"a": 26.0, "b": 74.0}).classification == {"a": 0.26, "b": 0.74}
    assert odd.alert_type == "UPDATE"
    assert odd.ra_dec_error == 0.05
    assert len(odd.notes) == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b'{"id": "1", "trigger_time": ', "unified schema"),
        (b'{"id": "1", "far": NaN}', "unified schema"),
        (b'[{"id": "1"}]', "named fields"),
        (b'{"trigger_time": "2024-01-01T00:00:00Z"}', "neither id, event_name nor ref_ID"),
        (b'{"id": ["\\u0007"], "trigger_time": "2024-01-01T00:00:00Z"}', "not a name"),
        (b'{"id": "1", "trigger_time": "noon"}', "trigger_time is 'noon'"),
        (b'{"id": "1", "x": [' + b"{}," * 200_000 + b"1]}", "more than 100000 values"),
    ],
)
def test_what_is_no_notice_is_refused_in_words(value: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        notices.decode(value)


def ordered(*revisions: EventRevision) -> list[str]:
    names = [one.alert_type for one in in_order(revisions, lambda one: one)]
    assert names == [one.alert_type for one in in_order(revisions[::-1], lambda one: one)]
    return names


def test_the_record_number_says_which_is_later_where_all_have_one() -> None:
    first = said(record_number=1, alert_datetime="2026-05-26T23:00:00Z")
    second = said(record_number=2, alert_type="retraction", alert_datetime="2026-05-26T22:00:00Z")
    assert ordered(first, second) == ["INITIAL", "RETRACTION"]
    without = said(alert_type="retraction", alert_datetime="2026-05-26T22:00:00Z")
    assert ordered(first, without) == ["RETRACTION", "INITIAL"]


def test_a_retraction_that_says_no_time_is_the_last_word() -> None:
    bare = {key: ... for key in GOOD if key not in {"mission", "id"}}
    withdrawn = said(**bare | {"alert_type": "retraction"})
    assert withdrawn.event_id == said().event_id
    assert withdrawn.t0_jd is None
    assert withdrawn.revision_id.startswith("undated-RETRACTION-")
    later = said(alert_type="update", alert_datetime="2036-01-01T00:00:00Z")
    assert ordered(withdrawn, later, said()) == ["INITIAL", "UPDATE", "RETRACTION"]


def test_the_same_in_another_spelling_is_the_same_revision() -> None:
    row = json.dumps(dict(reversed(GOOD.items())), indent=3).encode()
    assert notices.decode(row).revision == said()
