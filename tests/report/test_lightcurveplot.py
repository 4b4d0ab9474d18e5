import re
from collections.abc import Callable

import msgspec
import pytest

from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.brightness import Luminosity
from ampelstream.report.lightcurveplot import draw_lightcurve

T0 = 2460324.45798
Make = Callable[..., Datapoint]


def test_bright_is_up_and_late_is_right(detection: Make) -> None:
    svg = draw_lightcurve([detection(1.0, 18.0), detection(3.0, 20.0)], T0, "curve")
    marks = svg.partition('class="marks"')[2].partition('class="legend"')[0]
    (x1, y1), (x2, y2) = (
        (float(x), float(y)) for x, y in re.findall(r'<circle cx="(\S+)" cy="(\S+)"', marks)
    )
    assert x1 < x2
    assert y1 < y2


def test_error_bars_span_one_sigma(detection: Make) -> None:
    points = [detection(1.0, 18.0, magerr=0.5), detection(2.0, 19.0, magerr=0.5)]
    svg = draw_lightcurve(points, T0, "curve")
    bars = re.findall(r'y1="(\S+)" x2="\S+" y2="(\S+)" class="error', svg)
    centres = [float(y) for y in re.findall(r'cy="(\S+)" r="4"', svg)[:2]]
    magnitude = centres[1] - centres[0]
    for low, high in bars:
        assert float(low) - float(high) == pytest.approx(magnitude, abs=0.1)


def test_bands_differ_in_shape_and_class(detection: Make, limit: Make) -> None:
    points = [detection(1.0, 18.0, 1), detection(1.1, 18.0, 2), detection(1.2, 18.0, 3)]
    svg = draw_lightcurve([*points, limit(-1.0, 20.0)], T0, "curve")
    assert re.search(r"<circle [^>]*band-g", svg)
    assert re.search(r"<rect [^>]*band-r", svg)
    assert re.search(r"<path [^>]*band-i", svg)
    when = "2024-01-13 22:59:29.5 UTC, JD 2460323.45798"
    assert f"r &gt; 20.00 mag (5-sigma limit), -1.000 d, {when}" in svg
    assert "g = 18.00 ± 0.10 mag, +1.000 d, 2024-01-15 22:59:29.5 UTC, JD 2460325.45798" in svg
    for word in ("AB magnitude", "days since the trigger", ">t0<", "UTC, 2024", ">14 Jan<"):
        assert word in svg


def test_negative_subtractions_are_hollow_and_named(detection: Make) -> None:
    svg = draw_lightcurve([detection(1.0, 18.0, positive=False)], T0, "curve")
    assert 'class="band-g negative"' in svg
    assert "g negative" in svg
    assert "fainter than the reference" in svg


def test_a_negative_subtraction_has_a_time_and_no_brightness(detection: Make) -> None:
    bright, faint = detection(1.0, 18.0), detection(2.0, 14.0, positive=False)
    svg = draw_lightcurve([bright, faint], T0, "curve")
    alone = draw_lightcurve([bright, detection(2.0, 22.0, positive=False)], T0, "curve")
    marks = re.findall(r'<circle cx="\S+" cy="(\S+)" r="4" class="band-g', svg)
    # in the strip below the magnitudes, whatever its magnitude is
    assert float(marks[1]) > 330
    assert marks == re.findall(r'<circle cx="\S+" cy="(\S+)" r="4" class="band-g', alone)
    assert ">14" not in re.sub(r">\d+ Jan<", "", svg)
    assert "14.00" not in svg


def test_absolute_magnitudes_where_a_distance_is_known(detection: Make) -> None:
    points = [detection(1.0, 18.0), detection(2.0, 19.0, 2)]
    svg = draw_lightcurve(points, T0, "curve", Luminosity(modulus=33.0))
    assert "absolute magnitude, not corrected for extinction" in svg
    assert ">\N{MINUS SIGN}15.0<" in svg
    assert "absolute -15.00" in svg
    assert "absolute" not in draw_lightcurve(points, T0, "curve")


def test_extinction_is_taken_off_each_band(detection: Make) -> None:
    points = [detection(1.0, 18.0, 1), detection(1.5, 18.0, 2)]
    svg = draw_lightcurve(points, T0, "curve", Luminosity(modulus=33.0, ebv=0.1))
    assert svg.count("corrected for E(B") == 2  # both axes
    assert "17.68 less 0.32 of extinction; absolute -15.32" in svg
    assert "17.77 less 0.23 of extinction; absolute -15.23" in svg
    green = re.search(r'<circle cx="\S+" cy="(\S+)" r="4"', svg)
    red = re.search(r'<rect x="\S+" y="(\S+)" width="7.2"', svg)
    assert green is not None
    assert red is not None
    assert float(green[1]) < float(red[1]) + 3.6  # the bluer band is the brighter one by then


def test_an_exposure_is_drawn_once(detection: Make, limit: Make) -> None:
    found = detection(1.0, 18.0, positive=True)
    forced = detection(1.0, 18.3, positive=True, forced=True)
    faint = msgspec.structs.replace(limit(0.5, 20.0), forced=True)
    svg = draw_lightcurve([found, forced, limit(0.5, 20.5), faint], T0, "curve")
    assert "g = 18.30 ± 0.10 mag, forced photometry" in svg
    assert "18.00" not in svg.partition('class="marks"')[2]
    assert svg.count("5-sigma limit") == 1
    assert "g forced" in svg


def test_one_point_is_enough(detection: Make) -> None:
    assert "<circle" in draw_lightcurve([detection(0.0, 18.0)], T0, "curve")


def test_without_a_trigger_days_count_from_the_first_detection(
    detection: Make, limit: Make
) -> None:
    points = [limit(-9.0, 20.0), detection(5.0, 18.0), detection(6.0, 18.0)]
    svg = draw_lightcurve(points, None, "curve")
    assert "days since the first detection" in svg
    assert 'class="trigger"' not in svg
    assert "+1.000 d" in svg


def test_what_cannot_be_drawn_is_left_out(detection: Make) -> None:
    nothing = Datapoint(id=1, jd=T0, fid=1)
    nan = detection(1.0, float("nan"))
    assert draw_lightcurve([nothing, nan], T0, "curve").startswith("<p")
    assert draw_lightcurve([], None, "curve").startswith("<p")
    assert "nan" not in draw_lightcurve([nan, detection(1.0, 18.0)], T0, "curve")


def test_an_unknown_band_is_drawn(detection: Make) -> None:
    svg = draw_lightcurve([detection(1.0, 18.0, 7)], T0, "curve")
    assert "band-other" in svg
    assert "fid7" in svg
