from typing import Any

import pyarrow as pa
import pytest

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.positions import find_position, valid_positions


def table(*names: str, **others: Any) -> pa.Table:
    return pa.table({**{name: [1.0] for name in names}, **others})


@pytest.mark.parametrize(
    "pair",
    [
        ("ra", "dec"),
        ("RA", "DEC"),
        ("RAJ2000", "DEJ2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("RA_ICRS", "DE_ICRS"),
        ("raMean", "decMean"),
        ("ra", "decl"),
    ],
)
def test_usual_names_are_found(pair: tuple[str, str]) -> None:
    assert find_position(table("z", *pair), {}) == pair


def test_numbers_win_over_sexagesimal_text() -> None:
    both = table("_RAJ2000", "_DEJ2000", RAJ2000=["13 09 47"], DEJ2000=["-23 23 02"])
    assert find_position(both, {}) == ("_RAJ2000", "_DEJ2000")
    text = table("ra", "dec", RAJ2000=["13 09 47"], DEJ2000=["-23 23 02"])
    assert find_position(text, {}) == ("ra", "dec")


def test_given_names_win() -> None:
    assert find_position(table("ra", "dec", "x", "y"), {}, "x", "y") == ("x", "y")


@pytest.mark.parametrize(
    ("others", "units", "given", "message"),
    [
        ({"x": [1.0]}, {}, (None, None), "name them with --ra and --dec; the table has x"),
        ({"x": [1.0]}, {}, ("x", "y"), "no column y; it has x"),
        ({"x": [1.0]}, {}, ("x", None), "both columns"),
        ({"x": ["1"], "y": [1.0]}, {}, ("x", "y"), "column x is not numbers"),
        ({"ra": [1.0], "dec": [1.0]}, {"ra": "rad"}, (None, None), "column ra is in rad"),
    ],
)
def test_faults_are_named(
    others: dict[str, Any],
    units: dict[str, str],
    given: tuple[str | None, str | None],
    message: str,
) -> None:
    with pytest.raises(CatalogError, match=message):
        find_position(pa.table(others), units, *given)


def test_positions_on_the_sky() -> None:
    nan, inf = float("nan"), float("inf")
    ra = [0.0, 360.0, -180.0, 400.0, nan, 10.0, 10.0, 10.0, -999.0, inf]
    dec = [0.0, 90.0, -90.0, 0.0, 0.0, nan, 90.1, -91.0, 0.0, 0.0]
    assert valid_positions(ra, dec).tolist() == [True] * 3 + [False] * 7
