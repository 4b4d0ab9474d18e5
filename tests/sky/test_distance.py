import math

import numpy as np
import pytest
from scipy.integrate import quad

from ampelstream.sky.distance import marginal_moments
from ampelstream.sky.tiles import Distances


def integrated(mu: float, sigma: float) -> tuple[float, float]:
    """Mean and standard deviation by quadrature, scaled so that nothing underflows."""
    x = mu / sigma
    # the density falls from its largest value at t = peak over the width
    peak = (x + math.sqrt(x * x + 8)) / 2
    width = min(1.0, 2 / (peak - x)) if x < 0 else 1.0

    def weight(t: float) -> float:
        return (t / peak) ** 2 * math.exp(-((t - x) ** 2 - (peak - x) ** 2) / 2)

    low, high = max(0.0, peak - 40 * width), peak + 40 * width
    points = [peak - 5 * width, peak, peak + 5 * width]
    moments = [
        quad(lambda t, n=n: t**n * weight(t), low, high, points=points, limit=200)[0]
        for n in range(3)
    ]
    mean = moments[1] / moments[0]
    return sigma * mean, sigma * math.sqrt(moments[2] / moments[0] - mean**2)


@pytest.mark.parametrize("x", [-300.0, -50.0, -8.001, -7.999, -3.0, 0.0, 0.5, 2.0, 10.0, 300.0])
def test_one_line_of_sight_agrees_with_quadrature(x: float) -> None:
    sigma = 7.0
    distances = Distances.of(np.array([x * sigma]), np.array([sigma]), np.array([1.0]))
    got = marginal_moments(np.array([1.0]), distances)
    mean, std = integrated(x * sigma, sigma)
    assert got.mean == pytest.approx(mean, rel=1e-9)
    assert got.std == pytest.approx(std, rel=1e-6)


def test_tiles_are_weighted_and_those_without_distance_left_out() -> None:
    distances = Distances.of(
        np.array([100.0, 300.0, np.inf, np.nan]),
        np.array([0.1, 0.1, 1.0, -1.0]),
        np.array([1e-4, 1e-5, 0.0, 0.0]),
    )
    got = marginal_moments(np.array([0.5, 0.5, 0.3, 0.2]), distances)
    assert got.mean == pytest.approx(200.0, rel=1e-5)
    assert got.std == pytest.approx(100.0, rel=1e-4)


@pytest.mark.parametrize(
    ("mu", "sigma", "norm"),
    [
        (math.inf, 1.0, 0.0),
        (math.nan, 1.0, 1.0),
        (1.0, 0.0, 1.0),
        (1.0, -1.0, 1.0),
        (1.0, 1.0, 0.0),
    ],
)
def test_a_tile_without_a_distance_has_one_spelling(mu: float, sigma: float, norm: float) -> None:
    one = Distances.of(np.array([mu]), np.array([sigma]), np.array([norm]))
    assert (one.mu[0], one.sigma[0], one.norm[0]) == (math.inf, 1.0, 0.0)
