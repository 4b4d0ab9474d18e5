"""How long units took."""

from ampelstream.runtime.unittimes import UnitTimes


def test_the_sum_and_the_mean_of_each_unit() -> None:
    times = UnitTimes()
    assert times.in_words("Score") == ""
    times.add("Score", 0.5)
    times.add("Score", 1.5)
    times.add("Other", 9.0)
    assert times.in_words("Score") == "2.0 s in all, 1,000.000 ms each"
    assert times.in_words("Other") == "9.0 s in all, 9,000.000 ms each"
