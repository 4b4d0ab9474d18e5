import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.report.axes import decimals, round_step, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-12.4, 3.1, [-10.0, -5.0, 0.0]),
        (19.83, 21.07, [20.0, 20.2, 20.4, 20.6, 20.8, 21.0]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 7 if low == 19.83 else 5) == pytest.approx(expected)


def test_decimals_tell_ticks_apart() -> None:
    assert decimals([20.0, 20.2]) == 1
    assert decimals([0.0, 0.05]) == 2
    assert decimals([-10.0, -5.0]) == 0
    assert decimals([3.0]) == 0


@settings(deadline=None, max_examples=100)
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 10))
def test_ticks_are_few_and_inside(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count)
    step = round_step(span, count)
    assert len(found) <= count + 1
    assert all(low - step * 1e-6 <= one <= low + span + step * 1e-6 for one in found)


def test_an_axis_has_a_length() -> None:
    with pytest.raises(ValueError, match="must have a length"):
        round_step(0.0, 5)
