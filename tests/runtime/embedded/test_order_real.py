"""The real night: notices before, between and after the alerts give the same candidates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.shipped import topology_path
from ampelstream.sources import open_source


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", ["skymap-only", "kilonova"])
def test_notices_before_between_and_after(
    name: str,
    data_dir: Path,
    make_topology: Callable[[str], Any],
    make_driver: Callable[[Any], Any],
) -> None:
    topology = make_topology(topology_path(name).read_text())
    alerts = list(open_source(data_dir / "ztf" / "night-20240115", "alerts").read({}))
    notices = list(open_source(data_dir / "notices" / "lvk-2024-01", "notices").read({}))
    assert (len(alerts), len(notices)) == (849, 30)
    step = len(alerts) // len(notices)
    between = []
    for number, notice in enumerate(reversed(notices)):  # and the later notices first
        between += [notice, *alerts[number * step : (number + 1) * step]]
    between += alerts[len(notices) * step :]
    results = []
    for records in ([*notices, *alerts], [*alerts, *notices], between, [*between, *between[:200]]):
        driver = make_driver(topology)
        for record in records:
            driver.feed(record.stream, record.value, record.member)
        results.append(driver.candidates())
        assert driver.count("dead_letters") == 0
    assert results[0]
    assert all(result == results[0] for result in results[1:])
