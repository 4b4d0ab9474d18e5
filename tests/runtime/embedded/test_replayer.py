"""A replay at the pace of event time waits for no record that says what cannot be."""

from collections.abc import Sequence
from typing import Any

import pytest

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded.replayer import paced

T0 = 2460000.5
NOW = (T0 + 100 - 2440587.5) * 86400.0


def waits(times: Sequence[float | None], speed: float = 86400.0) -> list[float]:
    """When each record is given [s], at a day of event time a second."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def records() -> Any:
        for offset, jd in enumerate(times):
            own = {"jd": jd, "ra": 1.0, "dec": 2.0}
            row: dict[str, Any] = {"objectId": "ZTF1", "candid": 1, "candidate": own}
            yield SourceRecord(Coordinates("a", 0, offset), "alerts", row)

    given = paced(records(), speed, clock=lambda: clock[0], sleep=sleep, now=lambda: NOW)
    return [clock[0] for _ in given]


def test_records_come_when_their_time_has_come() -> None:
    assert waits([T0, T0 + 1, T0 + 3, T0 + 2, None]) == pytest.approx([0, 1, 3, 3, 3])
    assert waits([T0, T0 + 1, T0 + 3], speed=43200.0) == pytest.approx([0, 2, 6])


def test_one_from_the_future_is_not_waited_for() -> None:
    ordinary = [T0, T0 + 1, T0 + 2, T0 + 3]
    for at in range(5):
        mixed = [*ordinary[:at], T0 + 9000, *ordinary[at:]]
        assert waits(mixed)[-1] == pytest.approx(3, abs=1)
