import pickle
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.errors import SkyMapError, SourceError
from ampelstream.sky.skymap import SkyMap

seeds = st.integers(0, 10**6)


def make(forge: Any, seed: int, *, distances: bool = False) -> SkyMap:
    return SkyMap.from_fits(forge.multi_order(forge.sky(seed, distances=distances, deepest=3)))


@given(seeds, st.floats(0, 360), st.floats(-90, 90))
@settings(deadline=None, max_examples=100)
def test_one_position_and_many_agree(forge: Any, seed: int, ra: float, dec: float) -> None:
    skymap = make(forge, seed)
    level = skymap.credible_level(ra, dec)
    assert level == skymap.credible_levels([ra], [dec])[0] == skymap.at(ra, dec).searched_prob
    assert 0 < level <= 1


@given(seeds, st.floats(0, 1))
@settings(deadline=None, max_examples=100)
def test_a_region_is_the_tiles_up_to_that_level(forge: Any, seed: int, level: float) -> None:
    skymap = make(forge, seed)
    region = skymap.region(level)
    assert np.all(region[:, 0] < region[:, 1])
    assert np.all(region[1:, 0] > region[:-1, 1])  # merged: there is a gap between any two
    size = np.int64(1) << 2 * (29 - skymap.order.astype(np.int64))
    inside = skymap.level <= level
    assert np.sum(region[:, 1] - region[:, 0]) == np.sum(size[inside])
    for edge in (skymap.start29, skymap.start29 + size - 1):
        place = np.searchsorted(region[:, 0], edge, side="right") - 1
        found = (place >= 0) & (edge < region[place, 1]) if len(region) else place >= 0
        assert np.array_equal(found, inside)


@given(seeds, st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_more_level_is_more_area(forge: Any, seed: int, one: float, two: float) -> None:
    skymap = make(forge, seed)
    low, high = sorted((one, two))
    assert skymap.area(low) <= skymap.area(high)
    inside = 4 * np.pi / 12 / 4.0 ** skymap.order[skymap.level <= low] * (180 / np.pi) ** 2
    assert inside.sum() <= skymap.area(low) * (1 + 1e-12)


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=50)
def test_stored_maps_answer_the_same_to_the_bit(forge: Any, seed: int, distances: bool) -> None:  # noqa: FBT001  (hypothesis draws it)
    skymap = make(forge, seed, distances=distances)
    again = SkyMap.from_bytes(skymap.to_bytes())
    for array in ("start29", "order", "density", "level"):
        left, right = getattr(skymap, array), getattr(again, array)
        assert left.dtype == right.dtype
        assert np.array_equal(left, right)
    for single in ("name", "digest", "t_obs_jd", "distmean", "diststd"):
        assert getattr(skymap, single) == getattr(again, single)
    assert dict(skymap.header) == dict(again.header)
    positions = [(10.0, 20.0, 100.0), (200.0, -70.0, 3000.0), (300.0, 5.0, None)]
    assert skymap.crossmatch(positions) == again.crossmatch(positions)
    assert again.to_bytes() == skymap.to_bytes()


def test_maps_that_were_deflated_otherwise_are_read(forge: Any) -> None:
    # as it was done before it looked for runs only
    skymap = make(forge, 4, distances=True)
    new = msgspec.msgpack.decode(skymap.to_bytes())

    def former(item: object) -> object:
        if isinstance(item, list):
            return [former(one) for one in item]
        return zlib.compress(zlib.decompress(item), 1) if isinstance(item, bytes) else item

    old = msgspec.msgpack.encode(former(new))
    assert old != skymap.to_bytes()
    assert SkyMap.from_bytes(old).to_bytes() == skymap.to_bytes()


def test_a_map_goes_to_another_process_and_is_built_there_once(forge: Any) -> None:
    skymap = make(forge, 3, distances=True)
    sent = pickle.dumps(skymap)
    again = pickle.loads(sent)  # noqa: S301  (our own)
    assert pickle.loads(sent) is again  # noqa: S301  (our own)
    assert again.to_bytes() == skymap.to_bytes()
    assert again.at(10.0, 20.0) == skymap.at(10.0, 20.0)


def test_stored_nonsense_is_refused(forge: Any) -> None:
    data = make(forge, 1).to_bytes()
    for broken in (b"", b"nonsense", data[:-5], data[:200]):
        with pytest.raises(SkyMapError, match=r"stored sky map .*replay the event"):
            SkyMap.from_bytes(broken)


def test_what_no_tile_covers_has_no_probability(forge: Any) -> None:
    sky = forge.sky(2)
    north = sky.pixel // 4**sky.order < 4
    part = type(sky)(
        sky.order[north], sky.pixel[north], {k: v[north] for k, v in sky.columns.items()}
    )
    skymap = SkyMap.from_fits(forge.multi_order(part))
    assert skymap.credible_level(10.0, -80.0) == 1.0
    assert skymap.credible_levels([10.0, 10.0], [-80.0, 80.0])[0] == 1.0
    assert skymap.at(10.0, -80.0).probdensity_per_sr == 0.0


def test_in_a_gap_the_volume_is_empty_too(forge: Any) -> None:
    sky = forge.sky(2, distances=True)
    north = sky.pixel // 4**sky.order < 4
    part = type(sky)(
        sky.order[north], sky.pixel[north], {k: v[north] for k, v in sky.columns.items()}
    )
    skymap = SkyMap.from_fits(forge.multi_order(part))
    match = skymap.at(10.0, -80.0, 100.0)
    assert skymap.distance(10.0, -80.0) is None
    assert skymap.distance(45.0, 80.0) is not None
    assert match.probdensity_vol == 0.0
    assert match.searched_prob_vol == pytest.approx(1.0, abs=0.05)


def test_distance_of_the_header_wins_and_else_it_is_computed(forge: Any) -> None:
    sky = forge.sky(4, distances=True)
    told = SkyMap.from_fits(forge.multi_order(sky, DISTMEAN=40.0, DISTSTD=8.0))
    computed = SkyMap.from_fits(forge.multi_order(sky))
    assert (told.distmean, told.diststd) == (40.0, 8.0)
    assert computed.distmean is not None
    assert 20 < computed.distmean < 300
    assert computed.diststd is not None
    without = SkyMap.from_fits(forge.multi_order(forge.sky(4)))
    assert without.distmu is None
    assert without.distance(45.0, 80.0) is None
    assert without.distmean is without.diststd is None


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, 2457983.0285234896),
        ({"DATE-OBS": None, "MJD-OBS": 57982.5285}, 2457983.0285),
        ({"DATE-OBS": None, "MJD-OBS": "57982.5285"}, 2457983.0285),
        ({"DATE-OBS": "2016-12-31T23:59:60", "MJD-OBS": 57754.0}, 2457754.5),
        ({"DATE-OBS": "soon", "MJD-OBS": "later"}, None),
        ({"DATE-OBS": None}, None),
    ],
)
def test_time_of_observation(
    forge: Any, cards: dict[str, str | float | None], expected: float | None
) -> None:
    skymap = SkyMap.from_fits(forge.multi_order(forge.sky(1), **cards), name="night.fits")
    assert skymap.t_obs_jd == (None if expected is None else pytest.approx(expected, abs=1e-8))
    if expected is None:
        with pytest.raises(SkyMapError, match=r"night\.fits has no DATE-OBS.*--t0"):
            skymap.t_obs()
    else:
        assert skymap.t_obs() == skymap.t_obs_jd


def test_a_given_time_wins(forge: Any) -> None:
    data = forge.multi_order(forge.sky(1))
    assert SkyMap.from_fits(data, t_obs_jd=2460000.5).t_obs() == 2460000.5


@pytest.mark.parametrize("distance", [0.0, -1.0, float("nan"), float("inf")])
def test_no_distance_is_refused(forge: Any, distance: float) -> None:
    with pytest.raises(SkyMapError, match="is not positive"):
        make(forge, 1, distances=True).at(1.0, 2.0, distance)


def test_files_by_path(forge: Any, tmp_path: Path) -> None:
    path = tmp_path / "night.fits.gz"
    path.write_bytes(forge.multi_order(forge.sky(1), gz=True))
    skymap = SkyMap.from_file(path)
    assert skymap.name == "night.fits.gz"
    assert len(skymap.digest) == 16
    with pytest.raises(SourceError, match=r"absent\.fits cannot be read: No such file"):
        SkyMap.from_file(tmp_path / "absent.fits")


def test_the_name_is_the_object_unless_given(forge: Any) -> None:
    assert make(forge, 1).name == "S123456a"


def test_nothing_can_be_changed(forge: Any) -> None:
    skymap = make(forge, 1, distances=True)
    for array in (skymap.start29, skymap.order, skymap.density, skymap.level, skymap.distmu):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(TypeError):
        skymap.header["OBJECT"] = "x"  # type: ignore[index]  # that is the point
