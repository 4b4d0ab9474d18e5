"""What two workers answer over HTTP: objects, candidates of an event, metrics, readiness."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .looking import answer, metrics, produce, where
from .small import EVENT, IN_REGION, Small
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

COUNT = 60
POISON = b"\x00neither JSON nor Avro"


@pytest.fixture(scope="module")
def pair(
    broker_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Small, list[Running]]]:
    """Two workers that have a partition each, and nothing to do any longer; they are only asked."""
    name = f"t{uuid.uuid4().hex[:12]}"
    small = Small(broker_address, name, tmp_path_factory.mktemp("pair"), partitions=2)
    running = [small.worker(index=index, log=str(index)) for index in range(2)]
    try:
        for worker in running:
            url = where(worker)
            wait_until(lambda url=url: answer(f"{url}/ready")[0] == 200, 60, "ready")  # type: ignore[misc]  # (a default that binds)
        small.announce()
        small.feed(range(1, COUNT + 1))
        produce(small.connection, small.names.alerts, [POISON])
        wait_for_work(broker_address, name)
        yield small, running
    finally:
        for worker in running:
            worker.process.kill()
            worker.process.wait()


def test_objects_and_candidates(pair: tuple[Small, list[Running]]) -> None:
    small, running = pair
    one, other = (where(worker) for worker in running)
    rows = [json.loads(line) for line in small.export("out.ndjson").splitlines()]
    owners: dict[str, str] = {}
    for name in {small.stream.object_id(number) for number in range(1, COUNT + 1)}:
        answers = {url: answer(f"{url}/objects/{name}") for url in (one, other)}
        assert sorted(status for status, _ in answers.values()) == [200, 307]
        (owners[name],) = (url for url, (status, _) in answers.items() if status == 200)
        for status, body in answers.values():
            if status == 307:
                assert body["ask"] == f"{owners[name]}/objects/{name}"
        body = answers[owners[name]][1]
        mine = [n for n in range(1, COUNT + 1) if small.stream.object_id(n) == name]
        assert [alert["candid"] for alert in body["alerts"]] == mine
        assert body["object_id"] == name
    assert set(owners.values()) == {one, other}
    asked = [answer(f"{url}/objects/ZTF99nobody")[0] for url in (one, other)]
    assert sorted(asked) == [307, 404]
    check_candidates(rows, one, other)


def check_candidates(rows: list[dict[str, Any]], one: str, other: str) -> None:
    """Each worker gives the candidates of both, or those that it has."""
    wanted = sorted(row["object_id"] for row in rows)
    assert len(wanted) == IN_REGION
    parts: list[int] = []
    local: list[str] = []
    for url in (one, other):
        status, body = answer(f"{url}/events/{EVENT}/candidates")
        assert (status, body["complete"], body["partitions"]) == (200, True, [0, 1])
        assert body["candidates"] == sorted(rows, key=lambda row: row["object_id"])
        assert all(row["provenance"]["records"] for row in body["candidates"])
        status, body = answer(f"{url}/events/{EVENT}/candidates?local=1")
        assert (status, body["complete"]) == (200, False)
        parts += body["partitions"]
        local += [row["object_id"] for row in body["candidates"]]
    assert sorted(parts) == [0, 1]
    assert sorted(local) == wanted
    status, body = answer(f"{one}/events/SIM990101z/candidates")
    assert (status, body) == (404, {"error": "no event SIM990101z is in the state"})


def test_metrics(pair: tuple[Small, list[Running]]) -> None:
    small, running = pair
    urls = [where(worker) for worker in running]

    def settled() -> bool:
        # lags are looked up every few seconds
        lags = [v for url in urls for n, v in metrics(url).items() if "_lag_records" in n]
        return len(lags) >= 8 and not any(lags)

    wait_until(settled, 30, "all lags are zero")
    total: dict[str, float] = {}
    for url in urls:
        for name, value in metrics(url).items():
            total[name] = total.get(name, 0) + value
    assert total['ampelstream_received_total{stream="alerts"}'] == COUNT + 1
    assert total['ampelstream_received_total{stream="notices"}'] == 1
    assert total["ampelstream_passed_total"] == COUNT
    letters = 'ampelstream_dead_letters_total{error="UnknownSchema",step="decode",stream="alerts"}'
    assert total[letters] == 1
    assert total["ampelstream_sweep_seconds_count"] == small.partitions
    unit = 'ampelstream_unit_seconds_{}{{unit="SkyMapProbability"}}'
    assert total[unit.format("count")] >= IN_REGION
    assert 0 < total[unit.format("sum")] < 30
    ages = {name: age for name, age in total.items() if "_commit_age_seconds" in name}
    assert set(ages.values()) == {0.0}  # nothing waits
    names = {"name": small.names.topology, "version": "1"}
    info = [name for name in total if name.startswith("ampelstream_topology_info{")]
    assert all(f'{key}="{value}"' in info[0] for key, value in names.items())
    assert total['ampelstream_partitions{step="objects"}'] == 2 * small.partitions
    assert total['ampelstream_step_ready{step="objects"}'] == len(urls)
    assert total["ampelstream_unsent_reactions"] == 0
    assert total['ampelstream_restore_left_records{step="objects"}'] == 0
    for step in ("ingest-alerts", "objects", "react"):
        assert f'ampelstream_commit_age_seconds{{step="{step}"}}' in ages
        assert total[f'ampelstream_batch_seconds_count{{step="{step}"}}'] > 0
    assert total['ampelstream_reactions_total{outcome="sent",rule="near"}'] > 0
    assert total["ampelstream_candidates_total"] >= IN_REGION


def test_what_no_channel_accepts_is_counted_by_its_reason(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    small = Small(broker_address, unique, tmp_path, partitions=1)
    text = small.topology.read_text().replace("sky:", "sky:\n    alerts: {survey: lsst}")
    small.topology.write_text(text)
    worker = small.worker()
    try:
        url = where(worker)
        small.feed(range(1, 4))
        wait_for_work(broker_address, unique)
        name = 'ampelstream_rejected_total{channel="sky",reason="survey"}'
        assert metrics(url)[name] == 3
    finally:
        worker.process.kill()
        worker.process.wait()


def test_ready_only_when_the_state_is_there(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    small = Small(broker_address, unique, tmp_path, partitions=1)
    worker = small.worker()
    try:
        url = where(worker)
        status, body = answer(f"{url}/ready")
        assert status == 503
        assert (
            "objects: rebalancing" in body["reasons"] or "objects: not ready yet" in body["reasons"]
        )
        assert answer(f"{url}/live") == (200, {"alive": True, "reasons": []})
        wait_until(lambda: answer(f"{url}/ready")[0] == 200, 60, "ready")
        # a partition is at work, and answers
        assert answer(f"{url}/objects/ZTF99nobody")[0] == 404
        assert worker.stop() == 0
        assert answer(f"{url}/ready")[0] == 0
    finally:
        worker.process.kill()
        worker.process.wait()
