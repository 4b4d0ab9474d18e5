"""Records are handed out as long as there is time, and at least one is."""

from hypothesis import given
from hypothesis import strategies as st

from ampelstream.runtime.portion import Portion


@given(takes=st.lists(st.floats(0, 2), max_size=20), seconds=st.floats(0, 5))
def test_the_time_is_looked_at_before_each_record_but_the_first(
    takes: list[float], seconds: float
) -> None:
    now = 0.0
    portion = Portion(takes, seconds, clock=lambda: now)
    given_at = []
    for one in portion:
        given_at.append(now)
        now += one
    assert portion.handled == len(given_at)
    assert len(given_at) >= min(1, len(takes))
    assert all(at < seconds for at in given_at[1:])
    if portion.handled < len(takes):
        assert now >= seconds


def test_who_does_not_ask_for_the_others_is_done_with_them() -> None:
    """A processor whose records concern nobody does not even look at them."""
    portion = Portion([1, 2, 3], 0.0)
    assert next(iter(portion)) == 1
    assert portion.handled == 3
