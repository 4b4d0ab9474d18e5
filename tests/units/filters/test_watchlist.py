"""WatchlistFilter: near a row of a table, judged one by one and many at once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.errors import CatalogError, UnitError
from ampelstream.model.alert import Alert
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.builder import build
from ampelstream.sky.catalogs.occupied import Occupied
from ampelstream.sky.catalogs.sourcetable import SourceTable
from ampelstream.sky.healpix import angular_separation, pixels29
from ampelstream.units import AlertBatch, Resources
from ampelstream.units.filters.watchlist import WatchlistFilter

ARCSEC = 1 / 3600
RA, DEC = [10.0, 200.0, 0.0001], [20.0, -89.9, 0.0]


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    rows = pa.table({"ra": RA, "dec": DEC, "name": ["a", "b", "c"]})
    build(tmp_path, "watchlist", SourceTable(Path("mine.csv"), rows))
    return Resources(catalogs=CatalogStore(tmp_path))


def opened(resources: Resources, **config: Any) -> WatchlistFilter:
    unit = WatchlistFilter(**config)
    unit.open(resources)
    return unit


def alert(ra: float, dec: float) -> Alert:
    return cast("Alert", SimpleNamespace(ra=ra, dec=dec))


def batch(ra: list[float], dec: list[float], **faults: Any) -> AlertBatch:
    class Columns(SimpleNamespace):
        def __len__(self) -> int:
            return len(ra)

    return cast("AlertBatch", Columns(ra=np.array(ra), dec=np.array(dec), faults=faults))


PLACES = [
    (10.0, 20.0 + 1.9 * ARCSEC, True),
    (10.0, 20.0 + 2.1 * ARCSEC, False),
    (200.0 + 1.0, -89.9, False),
    (200.0 + 0.2, -89.9, True),  # 1.3 arcsec, so close to the pole
    (359.9999, 0.0, True),  # across 0/360: 0.7 arcsec
    (90.0, 45.0, False),
]


def test_one_by_one_and_many_at_once(resources: Resources) -> None:
    unit = opened(resources)
    ra, dec, near = map(list, zip(*PLACES, strict=True))
    verdicts = unit.judge(batch(ra, dec))
    assert [code == 0 for code in verdicts.codes] == near
    assert [unit.evaluate(alert(*place)).accept for place in zip(ra, dec, strict=True)] == near
    rejected = unit.evaluate(alert(90.0, 45.0))
    assert rejected.reason == verdicts.reasons[0] == "watchlist"
    assert rejected.seen == {"ra": 90.0, "dec": 45.0}
    assert rejected.allowed == {"catalog": "watchlist", "radius_arcsec": 2.0}


def test_a_row_of_a_batch_that_is_no_alert_is_not_looked_at(resources: Resources) -> None:
    columns = batch([10.0, np.nan], [20.0, np.nan])
    cast("Any", columns).faults = {1: CatalogError("no position")}
    assert list(opened(resources).judge(columns).codes) == [0, 1]


def test_its_version_is_that_of_the_table(resources: Resources) -> None:
    unit = opened(resources)
    version = resources.catalogs.open("watchlist").version
    assert unit.reads() == {"watchlist": version}
    assert unit.fingerprint() != WatchlistFilter().fingerprint()


def test_without_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="ampelstream catalogs add watchlist TABLE"):
        opened(Resources(catalogs=CatalogStore(tmp_path / "none")))
    with pytest.raises(UnitError, match="was not opened"):
        WatchlistFilter().evaluate(alert(10.0, 20.0))


@given(
    st.lists(
        st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90)), min_size=0, max_size=5
    ),
    st.floats(0.001, 36000),
    st.floats(0, 360, exclude_max=True),
    st.floats(0, 1),
)
def test_nothing_within_the_radius_is_left_out(
    rows: list[tuple[float, float]], radius_arcsec: float, angle: float, part: float
) -> None:
    """Whatever the radius, and also at the poles."""
    radius = radius_arcsec * ARCSEC
    ra, dec = np.array([one[0] for one in rows]), np.array([one[1] for one in rows])
    occupied = Occupied(pixels29(ra, dec), radius)
    turn, away = np.radians(angle), 0.999 * part * radius
    there_dec = np.clip(dec + away * np.cos(turn), -90, 90)
    scale = np.maximum(np.cos(np.radians(there_dec)), 1e-12)
    there_ra = (ra + away * np.sin(turn) / scale) % 360.0
    within = np.array(
        [bool((angular_separation(one, other, ra, dec) <= radius).any())
         for one, other in zip(there_ra, there_dec, strict=True)], bool,
    )  # fmt: skip
    assert not (within & ~occupied.near(there_ra, there_dec)).any()


def test_most_of_the_sky_is_near_nothing() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))
    occupied = Occupied(pixels29(ra, dec), 2 * ARCSEC)
    elsewhere = rng.uniform(0, 360, 10_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 10_000)))
    assert occupied.near(*elsewhere).sum() < 10
    assert occupied.near(ra, dec).all()
