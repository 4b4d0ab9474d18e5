"""State that is somebody else's is refused, and never taken for one's own."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.safefaust.topicids import topic_ids
from ampelstream.runtime.service.exitcodes import ExitCode

from .looking import answer, metrics, where
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


async def _delete(small: Small, *topics: str) -> None:
    """Delete these topics, or all of the topology's."""
    async with open_admin(small.connection) as admin:
        prefix = f"ampel.{small.names.topology}."
        ours = [one for one in await admin.list_topics() if one.startswith(prefix)]
        ours = list(topics) or ours
        await admin.delete_topics(ours)
        while set(ours) & set(await admin.list_topics()):  # noqa: ASYNC110  (there is no event for it)
            await asyncio.sleep(0.1)


def changelog_ids(small: Small) -> str:
    """Id of the changelog of the objects."""
    topic = small.names.changelog("objects")
    found = asyncio.run(topic_ids(small.connection.client_options(), [topic]))
    return found.ids[topic]


def refused(small: Small, log: str) -> str:
    """Start a worker that is to be refused; gives what it says."""
    with at_work(small, log, "--steps", "objects") as worker:
        assert worker.process.wait(60) == ExitCode.CONFIGURATION
    said = worker.log.read_text()
    assert "ForeignState" in said
    assert '"restored' not in said
    return said


def test_a_topology_that_was_made_anew_does_not_find_its_old_state(small: Small) -> None:
    """Its offsets fit, and its content does not."""
    before = small.directory / "before"
    run(small, "first", FEW)
    old = changelog_ids(small)
    shutil.copytree(small.state, before)
    shutil.rmtree(small.state)
    asyncio.run(_delete(small))
    ampelstream("topics", "create", *small.broker, "--partitions", "2", "--yes")
    right = run(small, "second", MANY)
    shutil.rmtree(small.state)
    shutil.copytree(before, small.state)
    said = refused(small, "third")
    for part in (small.names.changelog("objects"), old, changelog_ids(small), "remove this"):
        assert part in said
    shutil.rmtree(small.state / small.names.topology / "worker-0")  # as it says
    with at_work(small, "fourth") as worker:
        assert objects_of(where(worker), small) == right


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
    shutil.rmtree(two.state / two.names.topology)
    (two.state / one.names.topology).rename(two.state / two.names.topology)
    assert one.names.app("objects") in refused(two, "four")


async def committed(small: Small, group: str) -> Mapping[TopicPartition, OffsetAndMetadata]:
    async with open_admin(small.connection) as admin:
        found: Mapping[TopicPartition, OffsetAndMetadata]
        found = await admin.list_consumer_group_offsets(group)
        return {tp: one for tp, one in found.items() if one.offset > 0}


async def commit(
    small: Small, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
) -> None:
    async with open_consumer(small.connection, group_id=group, enable_auto_commit=False) as one:
        one.assign(list(offsets))
        await one.commit(offsets)


def test_sources_that_were_made_anew_are_read_from_their_first_record(small: Small) -> None:
    """Also where an offset is committed of the one that had the name before."""
    small.announce()
    run(small, "first", FEW)
    sent = (small.state / "near.ndjson").read_bytes()
    assert sent
    topics = [small.names.alerts, small.names.detections, small.names.candidates]
    groups = [f"{small.names.ingest_group}.alerts", small.names.app("objects")]
    before = {group: asyncio.run(committed(small, group)) for group in groups}
    asyncio.run(_delete(small, *topics))
    ampelstream("topics", "create", *small.broker, "--partitions", "2", "--yes")
    for group, offsets in before.items():  # as a worker may that still runs meanwhile
        mine = {tp: one for tp, one in offsets.items() if tp.topic in topics}
        assert mine
        asyncio.run(commit(small, group, mine))
    small.feed(MANY)
    with at_work(small, "second") as worker:
        wait_for_work(small.address, small.names.topology)
        counted = metrics(where(worker))
        assert worker.stop() == 0
    assert small.alerts() == Counter((*FEW, *MANY))
    said = worker.log.read_text()
    assert [topic for topic in topics if f"{topic} was made anew" not in said] == []
    # every revision of a candidate was looked at, whatever its offset
    assert counted["ampelstream_candidates_total"] > len(MANY) / 2
    assert counted.get('ampelstream_repeated_total{rule="near"}', 0) == 0
    assert (small.state / "near.ndjson").read_bytes() == sent
