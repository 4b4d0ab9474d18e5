"""Event time: no minority of records and no single source moves it, and no clock stops it."""

import random
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.core.state import keys
from ampelstream.core.watermark import (
    FEWEST,
    LOOK_EVERY,
    SILENT_DAYS,
    TOLERANCE_DAYS,
    WINDOW,
    Ticker,
    Watermark,
)
from ampelstream.model.announcement import Tick
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction

T0 = 2460000.5
NOW = T0 + 100.25


def ticks(ticker: Ticker, times: Sequence[float], now: float = NOW) -> Iterator[Tick]:
    for jd in times:
        tick = ticker.add(("night", 0), jd, now)
        if tick is not None:
            yield tick


# --- one source ---------------------------------------------------------------------------------


def test_a_few_alerts_say_nothing_and_then_each_day_is_said_once() -> None:
    ticker = Ticker()
    assert list(ticks(ticker, [T0] * (FEWEST - 1))) == []
    assert list(ticks(ticker, [T0])) == [Tick(T0, "night", 0, NOW)]
    assert list(ticks(ticker, [T0 + 0.2] * WINDOW)) == []
    assert [tick.jd for tick in ticks(ticker, [T0 + 1.2] * WINDOW)] == [T0 + 1.2]


def test_a_source_that_stands_still_is_heard_once_a_day_of_the_clock() -> None:
    ticker = Ticker()
    said = [
        tick.at
        for hour in range(0, 72, 6)
        for tick in ticks(ticker, [T0] * LOOK_EVERY * 2, NOW + hour / 24)
    ]
    assert said == [NOW, NOW + 1, NOW + 2]


def test_a_clock_that_was_ahead_does_not_silence_a_source() -> None:
    ticker = Ticker()
    assert len(list(ticks(ticker, [T0 + 9000] * FEWEST, T0 + 9001))) == 1
    assert [tick.jd for tick in ticks(ticker, [T0 + 99] * WINDOW)] == [NOW]
    assert [tick.jd for tick in ticks(ticker, [T0 + 99] * FEWEST, NOW + 1)] == [T0 + 99]


def test_it_never_passes_the_clock() -> None:
    ticker = Ticker()
    assert [tick.jd for tick in ticks(ticker, [NOW + TOLERANCE_DAYS] * FEWEST)] == [NOW]


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32), share=st.floats(0.0, 0.48), days=st.integers(0, 60))
def test_no_minority_moves_it(seed: int, share: float, days: int) -> None:
    """In any order, as long as fewer than half of the alerts of each window are wrong."""
    dice = random.Random(seed)  # noqa: S311  (a reproducible test, not a secret)
    honest = [T0 + dice.uniform(0, 1) + days * at / 600 for at in range(600)]
    mixed: list[float] = []
    wrong: list[bool] = []
    for jd in honest:
        odd = dice.random() < share
        window = wrong[-WINDOW + 1 :]
        first = len(wrong) < FEWEST and sum(wrong) >= FEWEST // 2 - 1
        if odd and not first and sum(window) < len(window) / 2 - 1:
            mixed.append(dice.choice([NOW + TOLERANCE_DAYS, T0 - 365.0, T0 + 365.0, 1721425.5]))
        else:
            mixed.append(jd)
        wrong.append(mixed[-1] != jd)
    found = [tick.jd for tick in ticks(Ticker(), mixed, T0 + 400)]
    assert found
    # what it says is never beyond what an honest alert of its window said, nor before it
    assert all(T0 <= jd <= T0 + days + 1 for jd in found)
    if not days:
        assert len(found) <= 2


def test_windows_are_kept_and_an_interrupted_ingest_goes_on_as_if_it_had_not_been() -> None:
    dice = random.Random(7)  # noqa: S311  (a reproducible test, not a secret)
    times = [T0 + at / 40 + dice.uniform(-3, 3) for at in range(1500)]
    whole = list(ticks(Ticker(), times))
    assert len(whole) > 20
    for cut in range(0, 1500, 97):
        backend = MemoryBackend()
        state = Transaction(backend)
        first = Ticker(state)
        found = list(ticks(first, times[:cut]))
        first.save()
        state.commit()
        assert found + list(ticks(Ticker(Transaction(backend)), times[cut:])) == whole


def test_the_topic_of_a_night_that_is_over_is_let_go() -> None:
    state = Transaction(MemoryBackend())
    ticker = Ticker(state)
    for night in range(10):
        ticker.add((f"ztf_{night}", 0), T0 + night, NOW + night)
        ticker.save()
        held = len(list(state.scan(keys.TIMES, keys.stop(keys.TIMES))))
        assert held == min(night + 1, SILENT_DAYS + 1)


# --- several sources ----------------------------------------------------------------------------


def reached(*said: Tick) -> float:
    watermark = Watermark(Transaction(MemoryBackend()))
    for tick in said[:-1]:
        watermark.take(tick)
    return watermark.take(said[-1])


def test_of_one_that_one_of_two_the_slower_of_three_the_middle_one() -> None:
    ztf, lsst, wrong = Tick(T0 + 9, "z", 0, NOW), Tick(T0 + 5, "l", 0, NOW), Tick(T0, "w", 0, NOW)
    assert reached(ztf) == T0 + 9
    assert reached(ztf, lsst) == T0 + 5
    assert reached(ztf, lsst, wrong) == T0 + 5
    assert reached(ztf, lsst, Tick(T0 + 99, "w", 0, NOW)) == T0 + 9


def test_of_a_topic_the_slowest_partition_counts() -> None:
    """Workers that read an archive from several partitions must not forget for each other."""
    parts = [Tick(T0 + 30 * number, "z", number, NOW) for number in range(4)]
    assert reached(*parts) == T0
    assert reached(*parts, Tick(T0 + 45, "z", 0, NOW)) == T0 + 30


def test_a_source_that_is_not_heard_of_does_not_hold_the_others() -> None:
    old, one = Tick(T0, "old", 0, NOW), Tick(T0 + 5, "a", 0, NOW)
    other = Tick(T0 + 6, "b", 0, NOW)
    assert reached(old, one) == T0
    days = [Tick(T0 + 9, "a", 0, NOW + 1 + day) for day in range(int(SILENT_DAYS) + 1)]
    assert reached(old, one, other, *days[:-1]) == T0 + 6
    assert reached(old, one, other, *days) == T0 + 9
    later = NOW + SILENT_DAYS + 1
    assert reached(old, other, *days, Tick(T0 + 1, "old", 0, later)) == T0 + 1


def test_topics_of_single_nights_are_let_go() -> None:
    """None of them is heard a second time: what passes is told by those of later nights."""
    nights = [Tick(T0 + night, f"ztf_{night}", 0, NOW + 1.02 * night) for night in range(20)]
    assert reached(*nights) == T0 + 17  # of the last four the lower middle one


ARCHIVE, LIVE = "archive", "live"


def taken(*said: Tick) -> list[float]:
    watermark = Watermark(Transaction(MemoryBackend()))
    return [watermark.take(tick) - T0 for tick in said]


@pytest.mark.parametrize("ahead", [0.1, 2.0, 3.5, 10.0, 400.0, 9000.0, -10.0])
@pytest.mark.parametrize("wrong", [ARCHIVE, LIVE])
def test_a_machine_with_a_wrong_clock_moves_event_time_for_nobody(ahead: float, wrong: str) -> None:
    """An archive is loaded beside the stream; either is read by that machine, from some day on."""
    said = []
    for day in range(20):
        for source, jd in ((ARCHIVE, T0 + day), (LIVE, NOW - 20 + day)):
            off = ahead if source == wrong and day >= 5 else 0.0
            said.append(Tick(jd, source, 0, NOW + day + off))
    assert taken(*said) == [float(at // 2) for at in range(40)]


def test_a_week_in_which_nobody_listened_makes_nobody_silent() -> None:
    before = Tick(T0, ARCHIVE, 0, NOW), Tick(NOW - 1, LIVE, 0, NOW)
    after = Tick(NOW - 1, LIVE, 0, NOW + 7), Tick(T0 + 1, ARCHIVE, 0, NOW + 7.01)
    assert taken(*before, *after) == [0.0, 0.0, 0.0, 1.0]


def test_ticks_that_come_again_make_no_day_pass() -> None:
    first, last = Tick(T0, "a", 0, NOW), Tick(T0 + 9, "b", 0, NOW + 1)
    assert reached(first, *[last, Tick(T0 + 8, "b", 0, NOW)] * 20, last) == T0


def test_marks_of_an_earlier_version_are_read() -> None:
    backend = MemoryBackend()
    state = Transaction(backend)
    state.put(keys.mark(("a", 0)), msgspec.msgpack.encode((T0 + 4, NOW)))
    state.commit()
    watermark = Watermark(Transaction(backend))
    assert watermark.jd == T0 + 4
    assert watermark.take(Tick(T0 + 9, "b", 0, NOW + 9000)) == T0 + 4


@settings(deadline=None)
@given(dice=st.randoms(use_true_random=False), data=st.data())
def test_the_order_of_ticks_and_their_repetition_do_not_matter(
    dice: random.Random, data: st.DataObject
) -> None:
    said = data.draw(
        st.lists(
            st.builds(
                Tick,
                st.sampled_from([T0 + day for day in range(9)]),
                st.sampled_from("abc"),
                st.integers(0, 2),
                st.sampled_from([NOW, NOW + 0.5, NOW + 1.5]),
            ),
            min_size=1,
            max_size=9,
        )
    )
    last = Tick(T0, "z", 0, NOW + 1.5)
    mixed = [*said, *dice.choices(said, k=3)]
    dice.shuffle(mixed)
    assert reached(*mixed, last) == reached(*said, last)


def test_it_survives_a_restart() -> None:
    backend = MemoryBackend()
    state = Transaction(backend)
    watermark = Watermark(state)
    assert watermark.jd is None
    for tick in (Tick(T0 + 9, "a", 0, NOW), Tick(T0 + 5, "b", 1, NOW), Tick(T0 + 4, "b", 1, NOW)):
        watermark.take(tick)
    state.commit()
    again = Watermark(Transaction(backend))
    assert again.jd == watermark.jd == T0 + 5
    assert again.take(Tick(T0 + 8, "b", 1, NOW)) == T0 + 8


def test_a_worker_whose_clock_was_ahead_does_no_lasting_harm() -> None:
    """Its alerts of 2050 were not refused: the clock of the others tells that it was wrong."""
    mad = Tick(T0 + 9000, "a", 0, T0 + 9001)
    watermark = Watermark(Transaction(MemoryBackend()))
    watermark.take(Tick(T0 + 7, "b", 0, NOW))
    watermark.take(mad)
    assert watermark.take(Tick(T0 + 8, "b", 0, NOW)) == T0 + 8
    assert watermark.take(Tick(T0 + 6, "a", 0, NOW)) == T0 + 6


def test_what_a_source_said_is_dropped_after_a_year() -> None:
    state = Transaction(MemoryBackend())
    watermark = Watermark(state)
    watermark.take(Tick(T0, "a", 0, NOW))
    for day in range(400):
        watermark.take(Tick(T0, "b", 0, NOW + day))
    assert len(list(state.scan(keys.WATERMARK, keys.stop(keys.WATERMARK)))) == 1


@pytest.mark.parametrize("jd", [float("nan"), float("-inf"), NOW + 1.0, float("inf")])
def test_a_tick_that_ingest_never_gives_is_refused(jd: float) -> None:
    state = Transaction(MemoryBackend())
    with pytest.raises(ValueError, match="event time is never ahead"):
        Watermark(state).take(Tick(jd, "a", 0, NOW))
    assert state.changes() == {}


@given(st.text(max_size=300), st.integers(0, 2**31 - 1))
def test_any_name_of_a_source_is_a_key(name: str, partition: int) -> None:
    try:
        key = keys.mark((name, partition))
    except UnicodeEncodeError:
        return  # a lone surrogate: names in coordinates hold none
    assert msgspec.msgpack.decode(key[1:], type=tuple[str, int]) == (name, partition)
    assert keys.WATERMARK < key < keys.stop(keys.WATERMARK)
