import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.service.metrics import OTHER, Metrics


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


def test_the_counts_of_the_processors_are_shown(accounting: Accounting, metrics: Metrics) -> None:
    for n in (3, 4):
        accounting.add({("received", "alerts"): n, ("passed",): n, ("candidates",): n})
        accounting.add({("rejected", "bright", "too faint"): n, ("known", "alerts"): n})
        metrics.restored("objects", n)
    accounting.add({("dead_letters", "alerts", "decode"): 3, ("reactions", "bright", "sent"): 1})
    found = samples(metrics)
    expected = {
        "received_total,alerts": 7,
        "passed_total": 7,
        "rejected_total,bright,too faint": 7,
        "known_total,alerts": 7,
        "candidates_total": 7,
        "restored_records_total,objects": 7,
        "dead_letters_total,decode,alerts": 3,
        "reactions_total,sent,bright": 1,
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


def test_age_of_a_commit_is_that_at_the_scrape() -> None:
    now = [100.0]
    metrics = Metrics(Accounting(), CollectorRegistry(), clock=lambda: now[0])
    metrics.committed("objects")
    now[0] += 7.5
    assert samples(metrics)["commit_age_seconds,objects"] == 7.5
    metrics.committed("objects")
    assert samples(metrics)["commit_age_seconds,objects"] == 0
    metrics.forget_committed("objects")
    assert not [name for name in samples(metrics) if name.startswith("commit_age")]


def test_reasons_are_bounded_and_nothing_is_uncounted(
    accounting: Accounting, metrics: Metrics
) -> None:
    for number in range(100):
        accounting.add({("rejected", "bright", f"magnitude {number}"): 2})
    samples(metrics)
    for number in range(100, 200):
        accounting.add({("rejected", "bright", f"magnitude {number}"): 1})
    accounting.add({("rejected", "faint", "x" * 5000): 1})
    found = {n: v for n, v in samples(metrics).items() if n.startswith("rejected_total")}
    assert len(found) == 52
    assert sum(found.values()) == 301
    assert found[f"rejected_total,bright,{OTHER}"] == 200
    assert found["rejected_total,bright,magnitude 3"] == 2
    assert max(map(len, found)) < 200


def test_two_in_one_process_do_not_meet() -> None:
    counts = Accounting()
    one, other = Metrics(counts), Metrics(Accounting())
    counts.add({("passed",): 5})
    assert samples(one)["passed_total"] == 5
    assert samples(other)["passed_total"] == 0
    assert b"python_info" in one.render()
