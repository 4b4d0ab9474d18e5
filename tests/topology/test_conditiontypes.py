"""Conditions are checked by what their names hold, and a check says nothing of what may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.codecs.alertfields import ALERT_FIELDS
from ampelstream.core.react import values_of
from ampelstream.model.candidate import DETECTIONS, Candidate, CandidateStatus, Provenance
from ampelstream.model.event import KNOWN_KEYS, EventRevision
from ampelstream.model.fieldtypes import ANY, NUMBER, TEXT, FieldType, record, type_of, union
from ampelstream.topology.checking import event_names, names_of_alerts, names_of_candidates
from ampelstream.topology.conditions import Condition
from ampelstream.topology.conditiontypes import Names, faults

ALERTS = names_of_alerts("ztf", ALERT_FIELDS["ztf"])
RESULTS = {"Plain": ANY, "Typed": record({"size": NUMBER, "name": TEXT})}
RULES = names_of_candidates([RESULTS])


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (ALERTS, ""),
        (ALERTS, "magpsf < 20 and rb > 0.5 and isdiffpos in ['t', '1']"),
        (ALERTS, "drb == null or drb >= 0.9"),
        (ALERTS, "'t' in isdiffpos"),
        (ALERTS, "ssnamenr != null and not (ssdistnr > 5)"),
        (ALERTS, "1 <= fid <= 2 and -dec < jd - jdstarthist"),
        (ALERTS, "true"),
        (event_names(), "significant == true and far < 3.2e-8"),
        (event_names(), "significant == 1"),
        (event_names(), "'H1' in instruments and instruments != null"),
        (event_names(), "properties.HasNS + classification.BNS > 0.5"),
        (event_names(), "properties.SomethingOfNextYear > 0.5"),
        (event_names(), "'BNS' in classification"),
        (event_names(), "external.observatory == 'Fermi'"),
        (RULES, "status == 'active' and rank > 3 and detections >= 2"),
        (RULES, "Plain.whatever.lies.there == 3"),
        (RULES, "Plain.score > Typed.size"),
        (RULES, "Typed != null"),
    ],
)
def test_what_may_hold(names: Names, text: str) -> None:
    assert faults(Condition(text), names) == []


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (ALERTS, "drb < null", "null compares with == and != only"),
        (ALERTS, "fid in 3", "3 is a number; in needs a list, such as [1, 2]"),
        (ALERTS, "fid in [1, 'g']", "fid is a number, and 'g' is text: they never compare"),
        (ALERTS, "1 in isdiffpos", "1 is a number, and isdiffpos holds text only"),
        (ALERTS, "isdiffpos + 1 > 2", "isdiffpos is text; + - * / take numbers"),
        (ALERTS, "Null == rb", "alerts of ztf have no field Null; write null"),
        (ALERTS, "'x'", "'x' stands by itself, which always holds; compare it with something"),
        (
            event_names(),
            "instruments == 'H1'",
            ("instruments is a list of text, and 'H1' is text: they never compare; "
            "write 'H1' in instruments"),
        ),
        (
            event_names(),
            "significant == 'true'",
            ("significant is true or false, and 'true' is text: they never compare; "
            "write true, without quotes"),
        ),
        (
            event_names(),
            "classification > 0.5",
            "classification is keys and values, and 0.5 is a number: they never compare",
        ),
        (RULES, "Typed.sise > 1", "Typed has no sise; did you mean size?"),
        (RULES, "Typed > 1", "Typed is keys and values, and 1 is a number: they never compare"),
        (RULES, "size > 1", "nothing is called size; did you mean Typed.size?"),
        (RULES, "status == 'gone'", ("status is never 'gone'; it is one of active, outside, "
         "rejected, retracted")),
    ],
)  # fmt: skip
def test_what_never_holds(names: Names, text: str, said: str) -> None:
    assert faults(Condition(text), names) == [said]


NAMES = st.sampled_from(
    ["magpsf", "fid", "isdiffpos", "drb", "nothing", "null", "true", "1", "'t'"]
)
OPERATORS = st.sampled_from(["==", "!=", "<", ">=", "in", "+", "-", "and", "or"])


@given(first=NAMES, parts=st.lists(st.tuples(OPERATORS, NAMES), max_size=4))
def test_a_comparison_that_can_be_true_is_let_pass(
    first: str, parts: list[tuple[str, str]]
) -> None:
    """What is refused for its types is, of all values of those types, never true by them."""
    text = " ".join([first, *(word for pair in parts for word in pair)])
    found = faults(Condition(text), ALERTS)
    if parts and all(op == "==" for op, _ in parts) and any("never compare" in f for f in found):
        values = [
            {"magpsf": mag, "fid": fid, "isdiffpos": sign, "drb": drb}
            for mag in (1.0, None)
            for fid in (1, None)
            for sign in ("t", None)
            for drb in (1.0, None)
        ]
        if "null" not in text:
            assert not any(Condition(text).holds(one) for one in values)


def test_events_are_described_by_their_model() -> None:
    names = event_names()
    assert set(names.fields) == set(EventRevision.__struct_fields__)
    for field, keys in KNOWN_KEYS.items():
        assert set(keys) <= set(names.fields[field].fields)


def test_rules_speak_of_what_they_are_given() -> None:
    given = values_of(
        Candidate(
            object_id="a", event_id="b", channel="c", status=CandidateStatus.ACTIVE,
            provenance=Provenance("t", "1", "h", "l", "r", "e"),
        )
    )  # fmt: skip
    assert set(names_of_candidates([]).fields) == set(given)
    assert given["status"] == "active"
    assert type(given["status"]) is str
    assert given[DETECTIONS] == 0


def test_a_rule_for_all_channels_may_speak_of_the_results_of_any() -> None:
    other = {"Typed": record({"colour": TEXT, "size": TEXT})}
    names = names_of_candidates([RESULTS, other])
    assert faults(Condition("Typed.colour == 'red' and Typed.name == 'x'"), names) == []
    assert faults(Condition("Typed.size == 'x' or Typed.size == 3"), names) == []


def test_types_are_those_of_python() -> None:
    t0 = type_of(EventRevision).fields["t0_jd"]
    assert t0 == FieldType("number", nullable=True, about=t0.about)
    assert t0.about.startswith("Trigger time, Julian date [d, UTC]")
    assert type_of(EventRevision).fields["instruments"].of == TEXT
    assert type_of(Candidate).fields["status"].words == tuple(CandidateStatus)
    assert union([NUMBER, TEXT]) == ANY
    assert type_of(dict[str, float]).of == NUMBER


def test_words_that_only_the_file_knows() -> None:
    """Kinds of events that it follows, and its channels: what is asked of others never holds."""
    kinds = event_names(["gw", "grb"])
    assert faults(Condition("kind == 'grb'"), kinds) == []
    (said,) = faults(Condition("kind == 'neutrino'"), kinds)
    assert said.startswith("kind is never 'neutrino'; ")
    rules = names_of_candidates([RESULTS], ["sky", "deep"])
    assert faults(Condition("channel in ['sky', 'deep']"), rules) == []
    (said,) = faults(Condition("channel == 'depe'"), rules)
    assert said == "channel is never 'depe'; did you mean deep?"
