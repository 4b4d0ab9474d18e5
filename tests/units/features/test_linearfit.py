"""The weighted line against numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.units.features.linearfit import fit_slope

POINT = st.tuples(st.floats(0, 30), st.floats(-1e3, 1e3), st.floats(0.1, 50))


@settings(max_examples=60, deadline=None)
@given(st.lists(POINT, min_size=3, max_size=12, unique_by=lambda p: round(p[0], 2)))
def test_agrees_with_polyfit(points: list[tuple[float, float, float]]) -> None:
    times, values, errors = (np.array(column) for column in zip(*points, strict=True))
    # numpy has the same slope; its covariance is unscaled like ours
    coefficients, covariance = np.polyfit(times, values, 1, w=1 / errors, cov="unscaled")
    ours = fit_slope(times.tolist(), values.tolist(), errors.tolist())
    assert ours is not None
    assert ours.value == pytest.approx(coefficients[0], rel=1e-6, abs=1e-6 * float(ours.error))
    assert ours.error == pytest.approx(float(np.sqrt(covariance[0, 0])), rel=1e-6)


def test_julian_dates_keep_their_digits() -> None:
    near = fit_slope([0.0, 0.25, 1.0], [1.0, 2.0, 9.0], [1.0, 1.0, 2.0])
    far = fit_slope([2460000.0, 2460000.25, 2460001.0], [1.0, 2.0, 9.0], [1.0, 1.0, 2.0])
    assert near == far


@pytest.mark.parametrize("times", [[], [1.0], [1.0, 1.0]])
def test_no_line(times: list[float]) -> None:
    assert fit_slope(times, times, [1.0] * len(times)) is None


def test_two_points() -> None:
    slope = fit_slope([0.0, 2.0], [10.0, 4.0], [3.0, 4.0])
    assert slope is not None
    assert slope.value == pytest.approx(-3.0)
    assert slope.error == pytest.approx(2.5)  # sqrt(3^2 + 4^2) / 2
    assert slope.significance == pytest.approx(-1.2)
