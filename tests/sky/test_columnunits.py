"""Units of a map's columns: converted, or refused in words."""

from contextlib import suppress

import numpy as np
import pytest
from astropy import units
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs.fitsheader import MapColumn
from ampelstream.sky.columnunits import UnfitUnit, length_factors, probability_unit

DEG2 = (180 / np.pi) ** 2


def column(name: str, unit: str) -> MapColumn:
    return MapColumn(name, 2, unit=unit)


@pytest.mark.parametrize(
    ("key", "unit", "factor", "per_pixel"),
    [
        ("PROB", "", 1, True),
        ("PROBDENSITY", "", 1, False),
        ("PROB", "pix-1", 1, True),
        ("PROB", "PIX-1", 1, True),
        ("PROB", "1/pixel", 1, True),
        ("PROBDENSITY", "pix-1", 1, True),
        ("PROBDENSITY", "sr-1", 1, False),
        ("PROBDENSITY", "SR-1", 1, False),
        ("PROBDENSITY", "1 / sr", 1, False),
        ("PROBDENSITY", "sr**-1", 1, False),
        ("PROB", "sr-1", 1, False),
        ("PROBDENSITY", "deg-2", DEG2, False),
        ("PROBDENSITY", "Deg^-2", DEG2, False),
        ("PROBDENSITY", "1/deg**2", DEG2, False),
        ("PROBDENSITY", "arcmin-2", 3600 * DEG2, False),
        ("PROBABILITY", "%", 0.01, True),
    ],
)
def test_units_of_probability(key: str, unit: str, factor: float, *, per_pixel: bool) -> None:
    found = probability_unit(key, column(key, unit))
    assert found.factor == pytest.approx(factor, rel=1e-14)
    assert found.per_pixel is per_pixel


NO_PROBABILITY = ["K", "Mpc-3", "deg", "deg2", "prob", "sr", "x" * 900]


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        *((key, unit) for key in ("PROB", "PROBDENSITY") for unit in NO_PROBABILITY),
        ("PROBDENSITY", "1"),
    ],
)
def test_what_is_no_probability_is_refused(key: str, unit: str) -> None:
    with pytest.raises(UnfitUnit, match=rf"TUNIT2 = .* of the column {key} is no probability"):
        probability_unit(key, column(key, unit))


@pytest.mark.parametrize(
    ("given_units", "expected"),
    [
        (("Mpc", "Mpc", "Mpc-2"), (1, 1, 1)),
        (("", "", ""), (1, 1, 1)),
        (("MPC", "mpc", "1/mpc^2"), (1, 1, 1)),
        (("Gpc", "Gpc", "Gpc-2"), (1e3, 1e3, 1e-6)),
        (("kpc", "Mpc", "Mpc**-2"), (1e-3, 1, 1)),
        (("Gpc", "", ""), (1e3, 1e3, 1e-6)),
        (("m", "", ""), (1 / units.Mpc.to("m"),) * 2 + (units.Mpc.to("m") ** 2,)),
    ],
)
def test_units_of_distance(
    given_units: tuple[str, str, str], expected: tuple[float, float, float]
) -> None:
    names = ("DISTMU", "DISTSIGMA", "DISTNORM")
    columns = {name: column(name, unit) for name, unit in zip(names, given_units, strict=True)}
    assert length_factors(columns) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "unit", "words"),
    [
        ("DISTMU", "sr-1", "is no length"),
        ("DISTMU", "mag", "is no length"),
        ("DISTSIGMA", "furlong", "is no length"),
        ("DISTNORM", "Mpc", r"is no length to the power of -2 \(Mpc-2\)"),
        ("DISTNORM", "Mpc2", "is no length to the power of -2"),
    ],
)
def test_what_is_no_distance_is_refused(name: str, unit: str, words: str) -> None:
    names = ("DISTMU", "DISTSIGMA", "DISTNORM")
    columns = {one: column(one, unit if one == name else "") for one in names}
    with pytest.raises(UnfitUnit, match=rf"TUNIT2 = '{unit}' of the column {name} {words}"):
        length_factors(columns)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="MGkpcsrdegix0123456789-+*/^(). eE%", max_size=45) | st.text(max_size=20))
def test_any_text_is_a_unit_or_our_error(text: str) -> None:
    columns = {one: column(one, text) for one in ("DISTMU", "DISTSIGMA", "DISTNORM")}
    with suppress(UnfitUnit):
        assert 0 < probability_unit("PROB", column("PROB", text)).factor < np.inf
    with suppress(UnfitUnit):
        assert all(0 < one < np.inf for one in length_factors(columns))
