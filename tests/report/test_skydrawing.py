import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ampelstream.model.candidate import Candidate
from ampelstream.report.closeup import _raster, draw_closeup, find_closeups
from ampelstream.report.content import EventReport, ReplayReport, ReportMap
from ampelstream.report.projection import gnomonic
from ampelstream.report.skydrawing import all_sky, draw_sky
from ampelstream.report.views import EventView, arrange
from ampelstream.sky.skymap import SkyMap

Make = Callable[..., Candidate]
MakeMap = Callable[..., ReportMap]
MakeEvent = Callable[..., EventReport]
MakeReport = Callable[..., ReplayReport]


@pytest.fixture
def view(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make, make_map: MakeMap
) -> EventView:
    event = make_event(skymap=make_map())
    candidates = [
        make_candidate("best", 9),
        make_candidate("second", 8, ra=201.0, dec=-20.0),
        make_candidate("third", 7, ra=20.0, dec=60.0),
        make_candidate("nowhere", 6, ra=None, dec=None),
    ]
    return arrange(make_report([event], candidates))[0]


def test_candidates_are_numbered_and_linked_where_they_are(view: EventView) -> None:
    svg = all_sky(view.event.skymap, view.active, 2, "sky")
    found = re.findall(r'<a href="#(\S+)"><title>([^<]*)</title><circle cx="(\S+)" cy="(\S+)"', svg)
    assert [one[:2] for one in found] == [
        ("e1-c2", "2 · second, score 8"),
        ("e1-c1", "1 · best, score 9"),
    ]
    (x2, y2), (x1, y1) = ((float(x), float(y)) for *_, x, y in found)
    # RA 197 and 201 are left of the middle (400), the larger further; both are in the south.
    assert x2 < x1 < 400
    assert y1 > y2 > 200
    # The third is a dot; the one without a position is nowhere.
    assert svg.count('class="dot"') == 1
    assert "nowhere" not in svg


def test_a_small_region_is_framed_and_its_candidates_are_left_to_the_closeup(
    view: EventView,
) -> None:
    drawn = draw_sky(view, numbered=2)
    assert drawn is not None
    whole, closeup = re.findall(r"<figure>.*?</figure>", drawn, re.DOTALL)
    assert 'class="framed"' in whole
    assert 'class="candidate"' not in whole  # they would cover it
    assert whole.count('class="dot"') == 1  # that of the third, elsewhere
    assert closeup.count('class="candidate"') == 2
    assert "Framed: close-ups" in whole


def test_whole_sky_is_labelled_and_outlined(view: EventView) -> None:
    svg = all_sky(view.event.skymap, [], 25, "sky")
    for words in ("180°", "12h", "300°", "20h", "+30°", "-60°"):
        assert f">{words}</text>" in svg
    assert 'class="galactic"' in svg
    assert 'class="level50"' in svg
    assert 'class="level90"' in svg
    assert svg.count("<image") == 1
    x300 = re.search(r'x="(\S+)"[^>]*>300°', svg)
    x60 = re.search(r'x="(\S+)"[^>]*>60°', svg)
    assert x300 is not None
    assert x60 is not None
    assert float(x300[1]) < 400 < float(x60[1])


def test_an_event_without_a_map_has_a_bare_sky(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    bare = make_event("S3")
    revisions = [replace(one, area50_deg2=None, area90_deg2=None) for one in bare.revisions]
    bare = replace(bare, revisions=revisions)
    views = arrange(make_report([make_event(), make_event("S2"), bare], [make_candidate()]))
    drawn = draw_sky(views[0], numbered=25)
    assert drawn is not None
    assert "<image" not in drawn
    assert 'class="candidate"' in drawn
    forgotten, none = (draw_sky(view, numbered=25) for view in views[1:])
    assert forgotten is not None
    assert "sky map was forgotten" in forgotten
    assert none == '<p class="muted">No sky map.</p>'


def test_closeup_is_found_around_the_region(make_map: MakeMap) -> None:
    for ra, dec in ((197.45, -23.38), (0.3, 10.0), (50.0, 88.5)):
        found = find_closeups(make_map(ra, dec, 3.0))
        assert len(found) == 1
        distance = np.degrees(
            np.arccos(
                np.sin(np.radians(dec)) * np.sin(np.radians(found[0].dec))
                + np.cos(np.radians(dec))
                * np.cos(np.radians(found[0].dec))
                * np.cos(np.radians(ra - found[0].ra))
            )
        )
        assert distance < 0.2
        assert found[0].probability == pytest.approx(0.9, abs=0.01)
        # The 90 % radius of a Gaussian on the plane is 2.146 sigma.
        assert 2.146 * 3.0 < found[0].half < 2.146 * 3.0 * 1.12 + 2.0


def test_two_regions_far_apart_get_two_closeups(make_map: MakeMap) -> None:
    one, two = make_map(30.0, 40.0, 2.0), make_map(210.0, -40.0, 2.0)
    density = 0.6 * one.density + 0.4 * two.density
    order = np.argsort(-density, kind="stable")
    level = np.empty(density.size)
    level[order] = np.cumsum(density[order]) / density.sum()
    both = type(one)("two", one.start29, one.order, level, density)  # type: ignore[call-arg]  # BumpMap
    found = find_closeups(both)
    assert [round(part.dec / 10) for part in found] == [4, -4]
    assert found[0].probability > found[1].probability


def test_closeup_has_a_scale_and_the_candidates_inside(view: EventView, make_map: MakeMap) -> None:
    part = find_closeups(make_map())[0]
    svg = draw_closeup(part, make_map(), view.active, 25, "close")
    assert svg.count('class="candidate"') == 2
    assert "third" not in svg
    assert re.search(r'class="scale".*>5°</text>', svg)
    # The larger right ascension is further left.
    labels = re.findall(r'<text x="(\S+)" y="415" text-anchor="middle">(\d+)°', svg)
    by_ra = sorted((float(ra), float(x)) for x, ra in labels)
    assert len(by_ra) >= 2
    assert [x for _, x in by_ra] == sorted((x for _, x in by_ra), reverse=True)


def test_closeup_over_a_pole_is_drawn(make_map: MakeMap) -> None:
    skymap = make_map(10.0, 89.0, 3.0)
    assert "nan" not in draw_closeup(find_closeups(skymap)[0], skymap, [], 25, "pole")


def test_small_regions_only_are_drawn_closely(view: EventView) -> None:
    drawn = draw_sky(view, numbered=25)
    assert drawn is not None
    assert "2 of 4 candidates" in drawn
    assert drawn.count('class="closeup"') == 1


@pytest.mark.realdata
def test_closeup_of_gw170817(data_dir: Path) -> None:
    skymap = SkyMap.from_file(data_dir / "skymaps" / "GW170817-gwtc1-nside1024.fits.gz")
    (part,) = find_closeups(skymap)
    assert part.probability == pytest.approx(0.9, abs=0.01)
    # NGC 4993, where the source was found.
    x, y = gnomonic(197.4488, -23.3838, part.ra, part.dec)
    assert float(np.hypot(x, y)) < part.half < 10

    # The region as drawn has the published area (GWTC-1: 16 deg2 at 90 %).
    levels = _raster(part, skymap)
    side = 2 * np.degrees(np.tan(np.radians(part.half))) / levels.shape[0]
    across = (np.arange(levels.shape[0]) + 0.5) * side
    across -= across.mean()
    radius = np.radians(np.hypot(*np.meshgrid(across, across)))
    area = (side**2 * np.cos(np.arctan(radius)) ** 3)[levels <= 0.9].sum()
    assert area == pytest.approx(skymap.area(0.9), rel=0.02)
    assert area == pytest.approx(16, abs=0.5)
