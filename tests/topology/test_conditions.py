"""Conditions: why one is false."""

from typing import Any

import pytest

from ampelstream.topology import Condition

FACTS: dict[str, Any] = {
    "far": 3e-7,
    "significant": False,
    "group": "CBC",
    "properties": {"HasNS": 0.01},
    "classification": {},
    "instruments": ["H1", "L1"],
}


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("far < 1e-8", "far is 3e-07, wanted far < 1e-08"),
        ("far < 1e-3 and far < 1e-8", "far is 3e-07, wanted far < 1e-08"),
        ("1e-10 < far < 1e-8", "far is 3e-07, wanted 1e-10 < far < 1e-08"),
        ("0.5 <= properties.HasNS", "properties.HasNS is 0.01, wanted 0.5 <= properties.HasNS"),
        ("properties.HasRemnant > 0.5", "properties.HasRemnant is absent"),
        ("classification.BNS + classification.NSBH > 0.5", "classification.BNS is absent"),
        ("nobody.knows.this == 3", "nobody.knows.this is absent"),
        ("significant", "significant is false, wanted significant to hold"),
        ("significant == true", "significant is false, wanted significant == true"),
        ("not (far < 1)", "not far < 1 is false, wanted not far < 1 to hold"),
        ("group == 'Burst'", "group is 'CBC', wanted group == 'Burst'"),
        ("group in ['Burst', 'X']", "group is 'CBC', wanted group in ['Burst', 'X']"),
        ("far == null", "far is 3e-07, wanted far == null"),
        ("skymap != null", "skymap is absent"),
        ("far < 'a'", "far is 3e-07, wanted far < 'a'"),
        (
            "properties.HasNS > 0.5 or far < 1e-8",
            "properties.HasNS is 0.01, wanted properties.HasNS > 0.5 or far < 1e-08",
        ),
        ("far - 1 > 0 and missing > 3", "far - 1 is -1, wanted far - 1 > 0"),
    ],
)
def test_the_first_comparison_that_is_false_says_why(condition: str, why: str) -> None:
    made = Condition(condition)
    assert not made.holds(FACTS)
    assert str(made.unmet(FACTS)) == why


@pytest.mark.parametrize("condition", ["", "far < 1", "missing == null", "not significant"])
def test_of_what_holds_there_is_nothing_to_say(condition: str) -> None:
    assert Condition(condition).unmet(FACTS) is None
