import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.service.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Values by the name and the values of its labels, these in the order of their names."""
    return {
        ",".join(
            [
                sample.name.removeprefix("ampelstream_"),
                *(v for _, v in sorted(sample.labels.items())),
            ]
        ): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith("ampelstream_")
    }


@pytest.fixture
def accounting() -> Accounting:
    return Accounting()


@pytest.fixture
def metrics(accounting: Accounting) -> Metrics:
    return Metrics(accounting, CollectorRegistry())


def test_counts_are_those_of_the_accounting(metrics: Metrics, accounting: Accounting) -> None:
    for n in (3, 4):
        tally = accounting.tally()
        tally.count("received", "alerts", n=n)
        tally.count("rejected", "bright", "too faint", n=n)
        tally.count("dead_letters", "alerts", "decode", "DecodeError")
        tally.count("reactions", "very-bright", "sent")
        tally.commit()
        metrics.restored("objects", n, 9 - n)
    found = samples(metrics)
    expected = {
        "received_total,alerts": 7,
        "passed_total": 0,
        "rejected_total,bright,too faint": 7,
        "restored_records_total,objects": 7,
        "restore_left_records,objects": 5,
        "dead_letters_total,DecodeError,decode,alerts": 2,
        "reactions_total,sent,very-bright": 2,
    }
    assert expected.items() <= found.items()


def test_gauges_hold_the_last_value(metrics: Metrics) -> None:
    for n in (3, 4):
        metrics.parked(n)
        metrics.sweeps_pending(n)
        metrics.lag("objects", "ampel.t.detections", 0, n)
        metrics.lag("objects", "ampel.t.detections", 1, n)
    metrics.forget_lag("objects", "ampel.t.detections", 0)
    metrics.forget_lag("objects", "ampel.t.detections", 9)  # never known: nothing to drop
    found = samples(metrics)
    assert found["parked_records"] == found["sweeps_pending"] == 4
    assert {n: v for n, v in found.items() if n.startswith("lag")} == {
        "lag_records,1,objects,ampel.t.detections": 4
    }


def test_histograms(metrics: Metrics) -> None:
    metrics.batch_seconds("ingest", 0.02)
    metrics.unit_seconds("Fit", 0.02)
    metrics.sweep_seconds(0.02)
    found = samples(metrics)
    for name, label in (("batch", ",ingest"), ("unit", ",Fit"), ("sweep", "")):
        assert found[f"{name}_seconds_sum{label}"] == 0.02
        low, high = ("0.01", "0.05")
        found_low = [v for n, v in found.items() if n.startswith(f"{name}_sec") and low in n]
        found_high = [v for n, v in found.items() if n.startswith(f"{name}_sec") and high in n]
        assert (found_low, found_high) == ([0.0], [1.0])


def test_age_of_a_commit_counts_only_while_something_waits() -> None:
    now = [100.0]
    metrics = Metrics(Accounting(), CollectorRegistry(), clock=lambda: now[0])

    def age() -> float:
        now[0] += 7.5
        return samples(metrics)["commit_age_seconds,objects"]

    metrics.committed("objects")  # nothing is known of what waits
    assert not [name for name in samples(metrics) if name.startswith("commit_age")]
    metrics.waiting("objects", 0)
    assert age() == 0
    metrics.waiting("objects", 5)
    assert age() == 7.5
    metrics.waiting("objects", 3)
    assert age() == 15.0
    metrics.committed("objects")
    assert age() == 7.5
    metrics.waiting("objects", None)
    assert math.isnan(age())
    metrics.waiting("objects", 5)
    assert age() == 7.5
    metrics.waiting("objects", 0)
    metrics.committed("objects")
    assert age() == 0


def test_the_topology_and_the_state_of_its_steps(metrics: Metrics) -> None:
    assert math.isnan(samples(metrics)["watermark_timestamp_seconds"])
    metrics.topology("kilonova", "1", "abc")
    metrics.topology("kilonova", "2", "def")
    metrics.step("objects", ready=True, silent=2.5, partitions=4, inbox=7)
    metrics.unsent(3)
    metrics.watermark(2_440_588.5)
    found = samples(metrics)
    expected = {
        "step_ready,objects": 1,
        "broker_silence_seconds,objects": 2.5,
        "partitions,objects": 4,
        "inbox_records,objects": 7,
        "unsent_reactions": 3,
        "watermark_timestamp_seconds": 86_400,
    }
    assert expected.items() <= found.items()
    assert {n: v for n, v in found.items() if n.startswith("topology")} == {
        "topology_info,def,kilonova,2": 1
    }
    metrics.watermark(None)
    assert math.isnan(samples(metrics)["watermark_timestamp_seconds"])


def test_two_in_one_process_do_not_meet() -> None:
    one, other = Metrics(Accounting()), Metrics(Accounting())
    one.restored("objects", 5, 0)
    assert "restored_records_total,objects" not in samples(other)
    assert b"python_info" in one.render()


def test_a_unit_that_always_fails_is_seen(metrics: Metrics, accounting: Accounting) -> None:
    tally = accounting.tally()
    tally.count("unit_runs", "kilonova", "Score", n=5)
    tally.count("unit_cached", "kilonova", "Score", n=2)
    tally.count("unit_failed", "kilonova", "Score", "KeyError: 'z' (Score.compute at a.py:7)", n=5)
    tally.commit()
    found = samples(metrics)
    assert found["unit_runs_total,kilonova,Score"] == 5
    assert found["unit_cached_total,kilonova,Score"] == 2
    of = "unit_failed_total,kilonova,KeyError: 'z' (Score.compute at a.py:7),Score"
    assert found[of] == 5
