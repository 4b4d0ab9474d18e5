"""A worker that hangs says so, ends itself, is started again, and nothing is lost."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .looking import answer, incidents
from .small import IN_REGION, Small
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).resolve().parents[2]
STUCK, NO_COMMIT = 4, 10


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # where workers find our units
    path = tmp_path / "marker"
    path.touch()
    return path


@contextmanager
def supervised(small: Small, *options: str) -> Iterator[Running]:
    """Two workers under a supervisor; only one of them has the one partition."""
    supervisor = small.worker("--workers", "2", *options, index=None)
    try:
        yield supervisor
    finally:
        if supervisor.process.poll() is None:
            supervisor.process.terminate()
            supervisor.process.wait(60)


def addresses(supervisor: Running) -> list[str]:
    told = [one["message"] for one in incidents(supervisor, "started")]
    return re.findall(r"http://\S+", " ".join(told))


def not_alive(supervisor: Running) -> str:
    """Reason of the worker that answers that it is not alive; empty where none does."""
    for url in addresses(supervisor):
        status, body = answer(f"{url}/live")
        if status == 503:
            return str(body["reasons"][0])
    return ""


def ready(supervisor: Running) -> int:
    """How many workers are ready."""
    return sum(answer(f"{url}/ready")[0] == 200 for url in addresses(supervisor))


def deaths(supervisor: Running) -> list[int]:
    return [one["fields"]["exit_code"] for one in incidents(supervisor, "worker_died")]


def whole(small: Small, count: int) -> None:
    """All alerts are in the state exactly once, and each object is a candidate."""
    wait_for_work(small.address, small.names.topology, 120)
    assert small.alerts() == Counter(range(1, count + 1))


def test_stuck_in_a_handler(broker_address: str, unique: str, tmp_path: Path, marker: Path) -> None:
    unit = {"unit": "tests.kafka.units:Sleeper", "config": {"marker": str(marker)}}
    small = Small(broker_address, unique, tmp_path, units=[unit], partitions=1)
    small.announce()
    small.feed(range(1, 41))
    with supervised(small, "--stuck-after", str(STUCK)) as supervisor:
        said = ""

        def stuck() -> bool:
            nonlocal said
            said = not_alive(supervisor)
            return bool(said)

        wait_until(stuck, 60, "/live says 503")
        told = re.fullmatch(r"objects/0: a handler has been busy for (\d+) s \(limit 4 s\)", said)
        assert told is not None, said
        assert int(told[1]) <= STUCK + 3  # the watchdog looks once a second, and twice
        wait_until(lambda: 75 in deaths(supervisor), 15, "it has ended")
        marker.unlink()
        whole(small, 40)
        # it may have hung while the objects were held against the event: that goes on, too
        wait_until(lambda: small.export("out.ndjson").count(b"\n") == IN_REGION, 60, "candidates")
        supervisor.process.terminate()
        assert supervisor.process.wait(60) == 0
    assert deaths(supervisor) == [75] * len(deaths(supervisor))
    assert said.partition(" for ")[0] in str(
        [one["fields"] for one in incidents(supervisor, "hung")]
    )
    assert "units.py" in supervisor.log.read_text()  # the stacks show where it hung


@pytest.mark.full
@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("pause", 75, "ingest-alerts: 40 records wait, and no commit for"),
        ("end", 1, "ingest-alerts: its consumer has left its group for good"),
    ],
)
def test_a_client_that_is_dead_inside(
    how: str,
    code: int,
    words: str,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    marker: Path,
) -> None:
    group = f"ampel.{unique}.ingest.alerts"
    config = {"marker": str(marker), "group": group, "how": how}
    unit = {"unit": "tests.kafka.units:Saboteur", "config": config}
    small = Small(broker_address, unique, tmp_path, filters=[unit], partitions=1)
    small.announce()
    with supervised(small, "--no-commit-after", str(NO_COMMIT), "--steps", "ingest,objects") as one:
        wait_until(lambda: ready(one) == 2, 60, "both are ready")
        small.feed([1])
        wait_until(lambda: not marker.exists(), 60, "the client is broken")
        small.feed(range(2, 42))
        wait_until(lambda: code in deaths(one), 60, "the worker has ended")
        assert words in one.log.read_text()
        wait_until(lambda: len(small.alerts()) == 41, 90, "another has done the work")
    assert small.alerts() == Counter(range(1, 42))
