from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import angular_separation as reference_separation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ampelstream.errors import CatalogError, SkyMapError
from ampelstream.sky.catalogs import Catalog, CatalogStore

ARCSEC = 3600.0
# poles, RA 0/360, corners and borders of base cells: where a search goes wrong first
SPECIAL = [
    (0.0, 90.0),
    (123.0, -90.0),
    (0.0, 0.0),
    (359.9999999, 0.0),
    (45.0, 0.0),
    (45.0, 41.8103148957786),
    (0.0, 41.8103148957786),
    (90.0, -41.8103148957786),
    (180.0, 66.44353569089877),
    (270.0, 19.47122063449069),
]


def positions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows over the whole sky, and crowds of every size around the special places."""
    random = np.random.default_rng(20170817)
    ra = [random.uniform(0.0, 360.0, 1500)]
    dec = [np.degrees(np.arcsin(random.uniform(-1.0, 1.0, 1500)))]
    for lon, lat in SPECIAL:
        size = 10.0 ** random.uniform(-8.0, 1.0, 150)
        turn = random.uniform(0.0, 2 * np.pi, 150)
        north = np.clip(lat + size * np.cos(turn), -90.0, 90.0)
        stretch = np.maximum(np.cos(np.radians(north)), 1e-3)
        ra.append((lon + size * np.sin(turn) / stretch) % 360.0)
        dec.append(north)
        ra.append(np.array([lon]))
        dec.append(np.array([lat]))
    return np.concatenate(ra), np.concatenate(dec)


RA, DEC = positions()


@pytest.fixture(scope="module", params=[100, 100_000], ids=["many partitions", "base cells"])
def crowded(
    request: pytest.FixtureRequest, make: Any, tmp_path_factory: pytest.TempPathFactory
) -> Catalog:
    root = tmp_path_factory.mktemp("catalogs")
    built = make(
        root, "crowd", {"ra": RA, "dec": DEC, "number": np.arange(len(RA))}, largest=request.param
    )
    assert built.partitions == 12 or built.info.order > 5
    # not room for all partitions, so that they come and go
    return CatalogStore(root, max_rows=2500).open("crowd")


def by_trial(ra: float, dec: float, radius: float) -> tuple[set[int], set[int]]:
    """Rows surely in the cone, and those so near its rim [deg] that rounding decides."""
    apart = np.degrees(
        reference_separation(np.radians(ra), np.radians(dec), np.radians(RA), np.radians(DEC))
    )
    rim = np.abs(apart - radius) < 1e-12 + 1e-12 * radius
    return set(np.flatnonzero((apart <= radius) & ~rim).tolist()), set(np.flatnonzero(rim).tolist())


CENTRES = st.one_of(
    st.sampled_from(SPECIAL),
    st.integers(0, len(RA) - 1).map(lambda n: (float(RA[n]), float(DEC[n]))),
    st.tuples(st.floats(-10.0, 370.0), st.floats(-90.0, 90.0)),
)
RADII = st.one_of(st.floats(-8.0, 2.25).map(lambda x: 10.0**x), st.sampled_from([0.0, 180.0]))


@settings(deadline=None, max_examples=250)
@given(CENTRES, RADII, st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)))
def test_cone_finds_what_a_trial_of_all_rows_finds(
    crowded: Catalog, centre: tuple[float, float], radius: float, shift: tuple[float, float]
) -> None:
    ra = centre[0] + shift[0] * radius
    dec = min(90.0, max(-90.0, centre[1] + shift[1] * radius))
    inside, rim = by_trial(ra, dec, radius)
    matches = crowded.cone(ra, dec, radius * ARCSEC)
    found = [match.row["number"] for match in matches]
    assert len(found) == len(set(found))
    assert inside - rim <= set(found) <= inside | rim
    apart = [match.separation_arcsec for match in matches]
    assert apart == sorted(apart)
    assert all(0.0 <= one <= radius * ARCSEC * (1 + 1e-15) for one in apart)


def test_separation_and_row_belong_together(crowded: Catalog) -> None:
    for match in crowded.cone(0.0, 89.9, 3600.0):
        number = match.row["number"]
        assert (match.row["ra"], match.row["dec"]) == (RA[number], DEC[number])
        expected = np.degrees(
            reference_separation(
                0.0, np.radians(89.9), np.radians(RA[number]), np.radians(DEC[number])
            )
        )
        assert match.separation_arcsec == pytest.approx(expected * ARCSEC, rel=1e-9)


def test_cone_crosses_ra_zero_from_both_sides(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "wrap", {"ra": [359.9999, 0.0001, 10.0], "dec": [5.0, 5.0, 5.0]})
    catalog = CatalogStore(tmp_path).open("wrap")
    for ra in (359.99995, 0.00005, 0.0, 360.0, -0.00005):
        assert len(catalog.cone(ra, 5.0, 1.0)) == 2


def test_rim_is_inside(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "one", {"ra": [10.0], "dec": [0.0]})
    catalog = CatalogStore(tmp_path).open("one")
    (match,) = catalog.cone(10.0, 0.0, 0.0)
    assert match.separation_arcsec == 0.0
    assert len(catalog.cone(10.0, 1.0, 3600.000001)) == 1
    assert catalog.cone(10.0, 1.0, 3599.999999) == []


def test_values_are_plain_and_what_is_no_number_is_none(make: Any, tmp_path: Path) -> None:
    make(
        tmp_path,
        "kinds",
        {
            "ra": [10.0, 10.0],
            "dec": [0.0, 0.0],
            "z": [float("nan"), 0.1],
            "huge": [float("inf"), 1.0],
            "count": [None, 7],
            "whole": [1, 2],
            "name": ["NGC 1", None],
            "flag": [True, None],
            "a.b": [0.5, 1.5],
        },
    )
    rows = [match.row for match in CatalogStore(tmp_path).open("kinds").cone(10.0, 0.0, 1.0)]
    first, second = sorted(rows, key=lambda row: row["whole"])
    nothing = {"z": None, "huge": None, "count": None, "whole": 1, "name": "NGC 1", "flag": True}
    assert first == {"ra": 10.0, "dec": 0.0, **nothing, "a.b": 0.5}
    assert second["count"] == 7
    assert second["name"] is None
    assert second["flag"] is None
    assert {type(value) for value in first.values()} == {float, type(None), int, str, bool}


def test_only_columns_asked_for_are_given(crowded: Catalog) -> None:
    match = crowded.cone(*SPECIAL[0], 60.0, ["number"])[0]
    assert list(match.row) == ["number"]


def test_unknown_column_is_refused_even_without_a_match(crowded: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"crowd has no column zz; it has ra, dec, number"):
        crowded.cone(200.0, 33.3, 1e-6, ["zz"])


def test_impossible_cones_are_refused(crowded: Catalog) -> None:
    with pytest.raises(CatalogError, match="not negative"):
        crowded.cone(0.0, 0.0, -1.0)
    with pytest.raises(CatalogError, match="not negative"):
        crowded.cone(0.0, 0.0, float("nan"))
    with pytest.raises(SkyMapError, match="no position"):
        crowded.cone(0.0, 95.0, 1.0)
