"""Several sources as one stream: by time, whatever a single record says of its own."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, Stream
from ampelstream.sources import Waiting, merge, timed
from ampelstream.sources.merge import After, Removed

T0 = 2460000.5


def record(source: str, offset: int, jd: float | None) -> SourceRecord:
    own = {"jd": jd, "ra": 1.0, "dec": 2.0}
    row: dict[str, Any] = {"objectId": "ZTF1", "candid": offset, "candidate": own}
    return SourceRecord(Coordinates(source, 0, offset), "alerts", row)


class Given:
    """A source of these times; None for a record that has none."""

    skipped = ()

    def __init__(self, name: str, times: Sequence[float | None]) -> None:
        self.name = name
        self._times = times

    def read(self, _after: Any) -> Iterator[SourceRecord]:
        return (record(self.name, offset, jd) for offset, jd in enumerate(self._times))

    def estimate(self) -> int:
        return len(self._times)

    def waiting(self, _after: Any) -> Waiting:
        return Waiting("records", 0)

    def holds(self, _source: str) -> Stream | None:
        return None

    def removed(self, _handled: After, _reached: After) -> Removed:
        return Removed()

    def following(self) -> "Given":
        return self


def due(times: Sequence[float | None]) -> list[float]:
    return [time for time, _ in timed(Given("a", times).read({}))]


def merged(*sources: Sequence[float | None]) -> list[tuple[str, int]]:
    given = [Given("abc"[number], times) for number, times in enumerate(sources)]
    return [(one.where.source, one.where.offset) for one in merge(given, {})]


def test_a_source_in_order_goes_by_its_own_times() -> None:
    times = [T0, T0, T0 + 1, T0 + 1.5, T0 + 30, T0 + 31]
    assert due(times) == times
    assert due([]) == []


def test_what_has_no_time_goes_with_what_was_before_it() -> None:
    assert due([None, T0, None, T0 + 1, None]) == [-math.inf, T0, T0, T0 + 1, T0 + 1]


def test_one_that_is_a_year_younger_waits_no_longer_than_those_behind_it() -> None:
    source = [T0 + 365.0, *(T0 + n for n in range(20))]
    assert due(source)[:3] == [T0 + 1, T0, T0 + 1]
    order = merged(source, [T0 + n + 0.5 for n in range(20)])
    assert order[:6] == [("b", 0), ("a", 0), ("a", 1), ("a", 2), ("b", 1), ("a", 3)]


@settings(deadline=None, max_examples=300)
@given(
    lengths=st.tuples(st.integers(3, 25), st.integers(3, 25)),
    at=st.integers(0, 24),
    wrong=st.sampled_from([T0 + 365.0, T0 - 365.0, T0 + 9000.0, None]),
)
def test_one_wrong_time_anywhere_moves_no_other_record_by_more_than_two_places(
    lengths: tuple[int, int], at: int, wrong: float | None
) -> None:
    one = [T0 + n for n in range(lengths[0])]
    other = [T0 + n + 0.5 for n in range(lengths[1])]
    at = min(at, len(one) - 3)  # the last one of a source holds nobody back
    mixed: list[float | None] = [*one[:at], wrong, *one[at:]]

    def without(order: list[tuple[str, int]]) -> list[tuple[str, int]]:
        kept = [pair for pair in order if pair != ("a", at)]
        return [(name, n - (name == "a" and n > at)) for name, n in kept]

    before, after = merged(one, other), without(merged(mixed, other))
    assert sorted(before) == sorted(after)
    moved = [abs(before.index(pair) - number) for number, pair in enumerate(after)]
    assert max(moved) <= 2
    assert merged(mixed, other) == merged(mixed, other)


def test_the_last_record_of_a_source_goes_when_it_says() -> None:
    assert merged([T0, T0 + 365], [T0 + 1, T0 + 2]) == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def test_within_a_source_the_order_stays_and_equal_times_go_by_source() -> None:
    order = merged([T0, T0, T0 - 5], [T0, T0 - 9, T0])
    assert [offset for name, offset in order if name == "a"] == [0, 1, 2]
    assert [offset for name, offset in order if name == "b"] == [0, 1, 2]
    assert merged([T0] * 3, [T0] * 3) == [(name, n) for name in "ab" for n in range(3)]
