import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

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
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_counters_add_up(metrics: Metrics) -> None:
    for n in (3, 4):
        metrics.received("alerts", n)
        metrics.passed(n)
        metrics.rejected("bright", "too faint", n)
        metrics.duplicates(n)
        metrics.candidates(n)
        metrics.restored("objects", n)
    metrics.dead_letter("decode")
    metrics.dead_letter("decode", 2)
    metrics.reaction("very-bright", "sent")
    found = samples(metrics)
    expected = {
        "received_total,alerts": 7,
        "passed_total": 7,
        "rejected_total,bright,too faint": 7,
        "duplicates_total": 7,
        "candidates_total": 7,
        "restored_records_total,objects": 7,
        "dead_letters_total,decode": 3,
        "reactions_total,sent,very-bright": 1,
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
    metrics = Metrics(CollectorRegistry(), clock=lambda: now[0])
    metrics.committed("objects")
    now[0] += 7.5
    assert samples(metrics)["commit_age_seconds,objects"] == 7.5
    metrics.committed("objects")
    assert samples(metrics)["commit_age_seconds,objects"] == 0
    metrics.forget_committed("objects")
    assert not [name for name in samples(metrics) if name.startswith("commit_age")]


def test_reasons_are_bounded_and_nothing_is_uncounted(metrics: Metrics) -> None:
    for number in range(200):
        metrics.rejected("bright", f"magnitude {number}", 1)
    metrics.rejected("bright", "magnitude 3", 1)
    metrics.rejected("faint", "x" * 5000, 1)
    found = {n: v for n, v in samples(metrics).items() if n.startswith("rejected_total")}
    assert len(found) == 52
    assert sum(found.values()) == 202
    assert found[f"rejected_total,bright,{OTHER}"] == 150
    assert found["rejected_total,bright,magnitude 3"] == 2
    assert max(map(len, found)) < 200


def test_two_in_one_process_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.passed(5)
    assert samples(other)["passed_total"] == 0
    assert b"python_info" in one.render()
