"""Records whose time is wrong change nothing but their own count, wherever they come."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core.watermark import FEWEST
from ampelstream.simulate import simulate_notice

T0 = 2460000.0
LATE = 2470000.0
"""In 2050."""
TOPOLOGY = """
name: odd
version: "1"
channels:
  all:
    window: [0, 10]
    units: [{unit: SkyMapProbability}]
  public:
    alerts: {where: "programid == 1"}
    window: [0, 3]
retention: {objects: 20, events: 10}
"""
PUBLIC = """
name: public
version: "1"
channels: {public: {alerts: {where: "programid == 1"}, window: [0, 3]}}
retention: {objects: 20, events: 10}
"""
NO_TIMES = [float("nan"), float("inf"), float("-inf"), 0.0, -1.0, 1e300, 60000.5, 1 << 70, "", None]
"""None of them is a Julian date of a survey: the alert is a dead letter, and says so."""


def notice(name: str, t0: float) -> bytes:
    return simulate_notice(
        event_id=name,
        alert_type="PRELIMINARY",
        time_created="2023-02-25T00:05:00Z",
        t0_jd=t0,
        ra=40.0,
        dec=0.0,
        width_deg=5.0,
        order=4,
    )


def stream(make_row: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Two months: two events, objects in and beside their regions, and time to forget the first."""
    told: list[tuple[str, Any]] = []
    for number in range(180):
        jd, at = T0 + number / 3, number % 20
        if number in {10, 150}:
            told.append(("notices", notice(f"SIM{number}", jd)))
        told.append(("alerts", make_row(f"ZTF{at:02d}", number + 1, jd, 36.0 + at, 1.0)))
    return told


class Straight:
    """What comes of the stream as it is."""

    def __init__(self, driver: Any, told: list[tuple[str, Any]]) -> None:
        self.told = told
        for kind, value in told:
            driver.feed(kind, value)
        self.candidates = driver.candidates()
        self.accepted = driver.count("accepted")
        self.watermark = driver.engine.objects.watermark
        assert {key[0] for key in self.candidates} == {"SIM10", "SIM150"}
        assert [event.event_id for event in driver.engine.objects.events] == ["SIM150"]


@pytest.fixture
def topology(make_topology: Callable[[str], Any]) -> Any:
    return make_topology(TOPOLOGY)


@pytest.fixture
def straight(topology: Any, make_driver: Callable[..., Any], make_row: Any) -> Straight:
    return Straight(make_driver(topology, forget=True), stream(make_row))


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), odd=st.integers(1, 20), inside=st.booleans())
def test_odd_times_change_nothing_but_their_own_count(
    topology: Any,
    straight: Straight,
    make_driver: Callable[..., Any],
    make_row: Callable[..., Any],
    seed: int,
    odd: int,
    *,
    inside: bool,
) -> None:
    """Alerts of 2050, and such as have no time at all: with or without forgetting."""
    dice = random.Random(seed)  # noqa: S311  (a reproducible test, not a secret)
    mixed, refused, letters = list(straight.told), 0, 0
    for number in range(odd):
        jd = dice.choice([LATE, LATE, LATE, *NO_TIMES])
        row = make_row(f"ODD{number}", 9000 + number, T0, 40.0 if inside else 220.0, 1.0)
        row["candidate"]["jd"] = jd
        refused += jd == LATE
        letters += jd != LATE
        mixed.insert(dice.randrange(len(mixed) + 1), ("alerts", row))
    driver = make_driver(topology, forget=True)
    for kind, value in mixed:
        driver.feed(kind, value)
    assert driver.candidates() == straight.candidates
    assert driver.count("watermark_refused") == refused
    assert driver.count("failed") == driver.count("dead_letters") == letters
    assert all("jd" in letter.reason for letter in driver.engine.progress.letters())
    assert driver.count("accepted") == straight.accepted + refused
    assert driver.engine.objects.watermark == straight.watermark


def test_a_wrong_time_that_no_channel_accepts_ends_no_matching(
    make_topology: Callable[[str], Any],
    make_driver: Callable[..., Any],
    make_row: Callable[..., Any],
) -> None:
    """Not even as one that lies in the past, and a year behind which others follow."""
    driver = make_driver(make_topology(PUBLIC), forget=True)
    driver.feed("notices", notice("SIM1", T0))
    driver.pass_time(T0 + 1)
    for number in range(FEWEST // 2):
        row = make_row("ZTF50", number, T0 + 300.0, 40.0, 1.0)
        driver.feed("alerts", row | {"candidate": row["candidate"] | {"programid": 3}})
    driver.feed("alerts", make_row("ZTF01", 999, T0 + 1.5, 40.0, 1.0))
    assert ("SIM1", "ZTF01", "public") in driver.candidates()
