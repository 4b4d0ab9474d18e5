import pytest

from ampelstream.report.markup import Markup, element, fixed, join, text


def test_plain_strings_are_escaped() -> None:
    made = element("td", '<script>alert("1")</script>', title='"><img src=x onerror=alert(1)>')
    assert made == (
        '<td title="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">'
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;</td>"
    )


def test_markup_is_not_escaped_again() -> None:
    assert element("p", element("b", "a & b"), None) == "<p><b>a &amp; b</b></p>"
    assert join([Markup("<i>"), Markup("</i>")], "<") == "<i>&lt;</i>"


def test_attributes() -> None:
    made = element("th", class_="num", data_s="", hidden=True, id=None, open=False, x=1.2345)
    assert made == '<th class="num" data-s="" hidden x="1.23"></th>'
    assert element("meta", name="a") == '<meta name="a">'


def test_control_characters_and_surrogates_are_replaced() -> None:
    assert text("a\x00b\ud800c\u202ed\ne") == "a\ufffdb\ufffdc\ufffdd\ne"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, "1"), (-0.04, "0"), (1.25, "1.2"), (100.0, "100"), (-3.16, "-3.2")],
)
def test_fixed(value: float, expected: str) -> None:
    assert fixed(value) == expected


def test_a_drawing_has_no_place_for_nan() -> None:
    with pytest.raises(ValueError, match="no place for nan"):
        fixed(float("nan"))


def test_a_megabyte_is_cut_and_a_curve_is_not() -> None:
    shown = element("p", "x" * 1_000_000)
    assert len(shown) < 3000
    assert shown.endswith("characters)</p>")
    assert len(element("path", d="M0,0" * 10_000)) > 40_000


def test_text_of_another_width_or_direction_cannot_pass_for_another() -> None:
    assert text("a\u200bb\u202ec\x9bd") == "a\ufffdb\ufffdc\ufffdd"
