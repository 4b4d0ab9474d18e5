import math
from collections.abc import Callable

import pytest

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.report.results import key_values, value_cell
from ampelstream.report.why import draw_why, has_why

MakeResult = Callable[..., UnitResult]
Make = Callable[..., Candidate]


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (None, "", "\N{EN DASH}"),
        (True, "", "yes"),
        (False, "", "no"),
        (2460324.4579812, "trigger_jd", "2460324.45798"),
        (197.448776, "ra", "197.44878"),
        (197.448776, "mean_ra", "197.44878"),
        (0.009783123, "z", "0.009783"),
        (2570000000000000001, "candid", "2570000000000000001"),
        (math.nan, "", "\N{EN DASH}"),
        ([], "", "none"),
        ([1.23456, 2], "", "1.235, 2"),
        ([["prob", 3], "no_grb_match"], "rejects", "prob 3, no_grb_match"),
        ("a < b", "", "a &lt; b"),
    ],
)
def test_values(value: object, key: str, expected: str) -> None:
    assert f">{expected}</span>" in value_cell(value, key)


def test_nested_mappings_become_tables() -> None:
    html = key_values({"GLADE": {"matches": [{"name": "NGC 4993", "z": 0.0098}, {"name": "x"}]}})
    assert html.count("<table") == 3
    assert '<th scope="col">name</th><th scope="col">z</th>' in html
    assert "NGC 4993" in html
    # The second match has no redshift.
    assert "<td>\N{EN DASH}</td>" in html


def test_long_and_deep_results_are_cut() -> None:
    assert ", and 70 more" in value_cell(list(range(100)))
    assert "and 70 more" in value_cell([{"a": 1}] * 100)
    assert "…" in value_cell("x" * 5000)
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"a": deep}
    assert "nested too deeply" in key_values(deep)


def test_mixed_lists_are_lists() -> None:
    assert value_cell([{"a": 1}, 2]).startswith("<ul>")


def test_waterfall_adds_up(make_candidate: Make, make_result: MakeResult) -> None:
    why = [
        {"part": "redshift", "points": 1, "text": "fits"},
        {"part": "distance", "points": -2, "text": "does not"},
        {"part": "probability", "points": 3, "text": "level < 0.68"},
        {"part": "burst", "points": 0, "text": "none"},
    ]
    body = {"why": why, "rejects": [["prob", 3]], "corrections": ["one"]}
    html = draw_why(make_candidate(results=(make_result("KilonovaScore", body),)))
    assert html is not None
    # Levels 0, 1, -1, 2: the span is 3 points, from -1 to 2.
    assert 'style="left:33.33%;width:33.33%"' in html
    assert 'class="step down" style="left:0.00%;width:66.67%"' in html
    assert 'style="left:0.00%;width:100.00%"' in html
    assert html.count('class="zero"') == 1
    assert '<th scope="row">Total</th><td class="num">2</td>' in html
    assert "level &lt; 0.68" in html
    assert "Rejects: " in html
    assert "prob 3" in html
    assert "Corrections: " in html


def test_only_a_list_of_parts_is_an_explanation(
    make_candidate: Make, make_result: MakeResult
) -> None:
    assert not has_why(make_result("A", {"why": "because"}))
    assert not has_why(make_result("A", {"why": ["x"]}))
    assert not has_why(make_result("A", None))
    assert has_why(make_result("A", {"why": []}))
    assert draw_why(make_candidate(results=())) is None
    odd = make_candidate(results=(make_result("A", {"why": [{}, {"points": "many"}]}),))
    assert ">0</td>" in (draw_why(odd) or "")
