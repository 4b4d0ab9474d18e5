"""State that is somebody else's is refused, and never taken for one's own."""

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ampelstream.runtime.kafka.clients import open_admin

from .looking import answer, where
from .small import Small
from .workers import Running, ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FEW, MANY = range(1, 41), range(41, 161)


@pytest.fixture
def small(broker_address: str, unique: str, tmp_path: Path) -> Small:
    return Small(broker_address, unique, tmp_path)


@contextmanager
def at_work(small: Small, log: str, *options: str | Path) -> Iterator[Running]:
    worker = small.worker(*options, log=log)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


def objects_of(url: str, small: Small) -> list[object]:
    wait_until(lambda: answer(f"{url}/ready")[0] == 200, 60, "ready")
    names = sorted({small.stream.object_id(number) for number in (*FEW, *MANY)})
    return [answer(f"{url}/objects/{name}") for name in names]


def run(small: Small, log: str, numbers: Iterable[int], *options: str | Path) -> list[object]:
    """Work on some alerts; gives the objects."""
    small.feed(numbers)
    with at_work(small, log, *options) as worker:
        wait_for_work(small.address, small.names.topology)
        found = objects_of(where(worker), small)
        assert worker.stop() == 0
    return found


async def _delete(small: Small) -> None:
    async with open_admin(small.connection) as admin:
        prefix = f"ampel.{small.names.topology}."
        ours = [one for one in await admin.list_topics() if one.startswith(prefix)]
        await admin.delete_topics(ours)
        while set(ours) & set(await admin.list_topics()):  # noqa: ASYNC110  (there is no event for it)
            await asyncio.sleep(0.1)


def test_a_topology_that_was_made_anew_does_not_find_its_old_state(small: Small) -> None:
    """Its offsets fit, and its content does not."""
    before = small.directory / "before"
    run(small, "first", FEW)
    shutil.copytree(small.state, before)
    shutil.rmtree(small.state)
    asyncio.run(_delete(small))
    ampelstream("topics", "create", *small.broker, "--partitions", "2", "--yes")
    right = run(small, "second", MANY)
    shutil.rmtree(small.state)
    shutil.copytree(before, small.state)
    with at_work(small, "third") as worker:
        url = where(worker)
        assert objects_of(url, small) == right


def test_two_topologies_share_a_state_directory(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = Small(broker_address, f"{unique}-one", tmp_path / "one")
    two = Small(broker_address, f"{unique}-two", tmp_path / "two")
    run(one, "one", FEW)
    right = run(two, "two", MANY)
    shutil.rmtree(two.state)
    shutil.copytree(one.state, two.state)
    with at_work(two, "three") as worker:
        assert objects_of(where(worker), two) == right
