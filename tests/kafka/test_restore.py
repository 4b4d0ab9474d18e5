"""State comes back from its changelog, and a changelog that is another one is refused."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.service.exitcodes import ExitCode

from .looking import answer, metrics, where
from .small import IN_REGION, Small
from .workers import Running, ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def small(broker_address: str, unique: str, tmp_path: Path) -> Small:
    return Small(broker_address, unique, tmp_path)


@contextmanager
def at_work(small: Small, log: str) -> Iterator[Running]:
    worker = small.worker(log=log)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


def ready(url: str) -> None:
    wait_until(lambda: answer(f"{url}/ready")[0] == 200, 60, "ready")


def every_object(url: str, small: Small) -> list[object]:
    names = sorted({small.stream.object_id(number) for number in range(1, 41)})
    return [answer(f"{url}/objects/{name}") for name in names]


async def _delete(small: Small, topic: str) -> None:
    async with open_admin(small.connection) as admin:
        await admin.delete_topics([topic])
        while topic in await admin.list_topics():  # noqa: ASYNC110  (the cluster has no event for it)
            await asyncio.sleep(0.1)


def test_a_wiped_directory(small: Small) -> None:
    small.announce()
    small.feed(range(1, 41))
    with at_work(small, "first") as worker:
        wait_for_work(small.address, small.names.topology)
        before = every_object(where(worker), small)
    # killed, not stopped
    sent = (small.state / "near.ndjson").read_bytes()
    assert sent.count(b"\n") >= IN_REGION
    candidates = small.export("before.ndjson")
    shutil.rmtree(small.state / small.names.topology / "worker-0")
    with at_work(small, "second") as worker:
        url = where(worker)
        ready(url)
        assert every_object(url, small) == before
        for step in ("objects", "react"):
            name = f'ampelstream_restored_records_total{{step="{step}"}}'
            wait_until(lambda name=name: metrics(url).get(name, 0) > 0, 10, name)  # type: ignore[misc]  # (a default that binds)
        assert small.export("after.ndjson") == candidates
        assert (small.state / "near.ndjson").read_bytes() == sent
        small.feed(range(41, 61))
        wait_for_work(small.address, small.names.topology)
        assert worker.stop() == 0
    assert small.alerts() == Counter(range(1, 61))
    assert (small.state / "near.ndjson").read_bytes() == sent  # nothing new to tell of old objects


def test_a_changelog_that_was_made_anew_is_refused(small: Small) -> None:
    small.feed(range(1, 41))
    with at_work(small, "first") as worker:
        wait_for_work(small.address, small.names.topology)
        assert worker.stop() == 0
    changelog = small.names.changelog("objects")
    asyncio.run(_delete(small, changelog))
    ampelstream("topics", "create", *small.broker, "--partitions", "2", "--yes")
    small.feed(range(41, 61))
    with at_work(small, "second") as worker:
        assert worker.process.wait(60) == ExitCode.CONFIGURATION
    said = worker.log.read_text()
    assert "ForeignState" in said
    assert f"changelog {changelog} with topic id" in said
    assert not small.alerts()  # it did not begin anew
    directory = small.state / small.names.topology / "worker-0" / "objects"
    databases = list(directory.glob("partition-*"))
    assert len(databases) == 2
    assert all(any(one.iterdir()) for one in databases)
