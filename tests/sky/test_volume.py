import math

import numpy as np
import pytest
from scipy.integrate import quad

from ampelstream.sky.tiles import Distances, Tiles
from ampelstream.sky.volume import Volume, marginal_moments, sight_moments


def tiles(seed: int, n: int = 12) -> Tiles:
    rng = np.random.default_rng(seed)
    mu, sigma = rng.uniform(-20, 60, n), rng.uniform(5, 15, n)
    radius = np.linspace(0, 300, 30001)
    shape = radius**2 * np.exp(-0.5 * ((radius - mu[:, None]) / sigma[:, None]) ** 2)
    norm = sigma * np.sqrt(2 * np.pi) / (shape.sum(axis=1) * radius[1])
    density = rng.random(n)
    density /= np.sum(density) * 4 * np.pi / 12
    return Tiles(
        np.arange(n) << 58, np.zeros(n, dtype=np.int8), density, Distances.of(mu, sigma, norm)
    )


def by_voxels(sky: Tiles, threshold: float) -> float:
    """Sum over a fine grid of all places with at least that density."""
    distances = sky.distances
    assert distances is not None
    step = 0.02
    radius = np.arange(step / 2, 300, step)
    z = (radius - distances.mu[:, None]) / distances.sigma[:, None]
    rho = (
        np.exp(-0.5 * z**2)
        * (sky.density * distances.norm / (distances.sigma * np.sqrt(2 * np.pi)))[:, None]
    )
    inside = np.where(rho >= threshold, rho * radius**2, 0.0).sum(axis=1) * step
    return float(np.sum(inside * sky.area()))


@pytest.mark.parametrize("seed", range(5))
def test_probability_agrees_with_a_sum_over_voxels(seed: int) -> None:
    sky = tiles(seed)
    volume = Volume(sky, 1.0)
    for threshold in 10.0 ** np.arange(-30, -3, 0.75):
        expected = by_voxels(sky, threshold)
        assert volume.probability_above(threshold) == pytest.approx(expected, abs=2e-4)


def test_probability_falls_with_density_from_one_to_zero() -> None:
    volume = Volume(tiles(1), 1.0)
    found = [volume.probability_above(rho) for rho in [0.0, *10.0 ** np.arange(-300, 3, 0.5)]]
    assert found[0] == pytest.approx(1.0, abs=1e-6)
    assert found[-1] == 0.0
    assert np.all(np.diff(found) <= 1e-12)


def test_the_smallest_number_is_no_overflow() -> None:
    assert Volume(tiles(2), 1.0).probability_above(5e-324) == pytest.approx(1.0, abs=1e-6)


def test_density_at_the_peak_and_far_away() -> None:
    sky = tiles(3)
    distances = sky.distances
    assert distances is not None
    volume = Volume(sky, 1.0)
    mu, sigma, norm = distances.mu[0], distances.sigma[0], distances.norm[0]
    peak = sky.density[0] * norm / (sigma * np.sqrt(2 * np.pi))
    assert volume.density(0, float(mu)) == pytest.approx(peak, rel=1e-12)
    assert volume.density(0, 1e6) == 0.0


def test_a_distance_belongs_to_the_voxel_whose_near_edge_it_has_passed() -> None:
    volume = Volume(tiles(4), 1.0)
    step = 1000 / 1000  # the farthest position, 1000 Mpc, is beyond six times the mean
    assert volume.voxel(250.5, 1000.0) == pytest.approx(250 * step)
    assert volume.voxel(1000.0, 1000.0) == pytest.approx(999 * step)
    assert volume.voxel(0.01, 1000.0) == pytest.approx(step)
    assert volume.voxel(50.0, 50.0) == volume.voxel(50.0, 60.0)


def test_lines_of_sight_without_a_distance_have_no_density() -> None:
    sky = tiles(5)
    distances = sky.distances
    assert distances is not None
    mu = distances.mu.copy()
    mu[0] = np.inf
    hollow = Distances.of(mu, distances.sigma, distances.norm)
    volume = Volume(Tiles(sky.start29, sky.order, sky.density, hollow), 1.0)
    assert volume.density(0, 50.0) == 0.0
    assert 0 < volume.probability_above(0.0) < 1


def test_a_map_without_distances_has_no_volume() -> None:
    sky = tiles(6)
    with pytest.raises(ValueError, match="without distances"):
        Volume(Tiles(sky.start29, sky.order, sky.density), 1.0)


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


def test_a_line_of_sight_is_a_map_of_one_tile_to_the_last_bit() -> None:
    rng = np.random.default_rng(3)
    # mu / sigma from where the quadrature is asked for to far above zero
    sigma, ratio = 10.0 ** rng.uniform(-3, 3, 3000), rng.uniform(-12, 40, 3000)
    for one_ratio, one_sigma in zip(ratio, sigma, strict=True):
        mu, width = np.array([one_ratio * one_sigma]), np.array([one_sigma])
        alone = Distances(mu=mu, sigma=width, norm=np.ones(1))
        assert sight_moments(alone, 0) == marginal_moments(np.ones(1), alone)
