"""Elements, tables of names and values, images."""

import base64
import math
import struct
import zlib

import numpy as np
import pytest

from ampelstream.report.markup import (
    Markup,
    data_uri,
    element,
    encode_png,
    fixed,
    join,
    key_values,
    text,
    value_cell,
)


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
    with pytest.raises(ValueError, match="nan cannot be drawn"):
        fixed(float("nan"))


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


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + content)
        found.append((kind, content))
        at += 12 + length
    return found


def test_decodes_to_the_same_pixels() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
    palette = [(index, 2 * index, 3 * index, 10 * index) for index in range(5)]
    parts = dict(chunks(encode_png(pixels, palette)))
    assert list(parts) == [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"]) == (4, 3, 8, 3, 0, 0, 0)
    assert parts[b"PLTE"][6:9] == bytes([2, 4, 6])
    assert parts[b"tRNS"] == bytes([0, 10, 20, 30, 40])
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), dtype=np.uint8).reshape(3, 5)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 1:] == pixels).all()


def test_refuses_a_colour_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="colour 3 is not in a palette of 2"):
        encode_png(np.array([[3]], dtype=np.uint8), [(0, 0, 0, 0), (1, 1, 1, 1)])


def test_refuses_what_is_not_a_grid() -> None:
    with pytest.raises(ValueError, match="rows and columns"):
        encode_png(np.zeros(3, dtype=np.uint8), [(0, 0, 0, 0)])


def test_data_uri_holds_the_image() -> None:
    png = encode_png(np.zeros((1, 1), dtype=np.uint8), [(0, 0, 0, 0)])
    kind, _, content = data_uri(png).partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == png


def test_a_megabyte_is_cut_and_a_curve_is_not() -> None:
    shown = element("p", "x" * 1_000_000)
    assert len(shown) < 3000
    assert shown.endswith("characters)</p>")
    assert len(element("path", d="M0,0" * 10_000)) > 40_000


def test_text_of_another_width_or_direction_cannot_pass_for_another() -> None:
    assert text("a\u200bb\u202ec\x9bd") == "a\ufffdb\ufffdc\ufffdd"
