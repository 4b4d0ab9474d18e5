"""Why a candidate scored what it scored."""

from collections.abc import Callable

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.report.explanation import draw_why, has_why

MakeResult = Callable[..., UnitResult]
Make = Callable[..., Candidate]


def test_waterfall_adds_up(make_candidate: Make, make_result: MakeResult) -> None:
    why = [
        {"part": "redshift", "points": 1, "text": "fits"},
        {"part": "distance", "points": -2, "text": "does not"},
        {"part": "probability", "points": 3, "text": "level < 0.68"},
        {"part": "burst", "points": 0, "text": "none"},
    ]
    body = {"why": why, "rejects": ["GLADE+", ["prob", 3]], "corrections": ["one"]}
    html = draw_why(make_candidate(results=(make_result("KilonovaScore", body),)))
    assert html is not None
    # Levels 0, 1, -1, 2: the span is 3 points, from -1 to 2.
    assert 'style="left:33.33%;width:33.33%"' in html
    assert 'class="step down" style="left:0.00%;width:66.67%"' in html
    assert 'style="left:0.00%;width:100.00%"' in html
    assert html.count('class="zero"') == 1
    assert '<th scope="row">Total</th><td class="num">2</td>' in html
    assert "level &lt; 0.68" in html
    assert "GLADE+" in html
    assert "nothing was rejected for them" in html
    assert "prob" not in html.partition("</table>")[2]  # it is a part of the score, above
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
