"""A cluster that is away is told of once, for all its steps, and once more when it is back."""

import logging

import pytest

from ampelstream.runtime.faust.clusters import Clusters


def test_it_is_said_once_for_each_cluster(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ours = ("objects", "react")
    clusters = Clusters([("ingest-ztf", "ztf:9092"), *((step, "ours:9092") for step in ours)], 20.0)
    for second in range(40):
        silent = float(second) if second < 30 else 1.0
        clusters.look({"ingest-ztf": second % 6.0, **dict.fromkeys(ours, silent), "other": 99.0})
    told = [(one.levelname, one.incident.event, one.getMessage()) for one in caplog.records]  # type: ignore[attr-defined]  # (set by extra=)
    assert [one[:2] for one in told] == [
        ("WARNING", "broker_away"),
        ("INFO", "broker_back"),
    ]
    assert "no broker answers at ours:9092 since 21 s" in told[0][2]
    assert "steps=[objects, react]" in told[0][2]
    assert told[1][2] == "ours:9092 answers again (seconds=29)"
    caplog.clear()
    clusters.look({"objects": 19.0, "react": 0.0})  # a broker that restarts
    assert caplog.records == []
    clusters.look({"objects": 21.0, "react": 0.0})  # again
    assert [one.incident.event for one in caplog.records] == ["broker_away"]  # type: ignore[attr-defined]  # (set by extra=)
