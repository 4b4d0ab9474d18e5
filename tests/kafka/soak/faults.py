"""The faults; each is done once in a round, while packets flow."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ampelstream.runtime.kafka.admin import inspect
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.kafka.topologylog import TopologyLog
from ampelstream.testing.broker.broker import Broker
from tests.kafka.soak.cluster import Workers, run_command

__all__ = ["FAULTS", "Lengths", "Scene"]


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long some faults last [s].

    Attributes
    ----------
    pause
        The broker stands still: longer than a session, and than the produce timeout.
    away
        The cluster of a survey is away.
    """

    pause: float = 20.0
    away: float = 60.0


@dataclass(slots=True)
class Scene:
    """What a fault may touch.

    Attributes
    ----------
    broker
        Our own cluster.
    workers
        A supervisor and its workers.
    count
        How many workers.
    ingest
        The one process that runs the ingest step; None where all workers run all steps.
    survey
        The cluster that alerts come from; None where they lie on our own.
    """

    broker: Broker
    workers: Workers
    names: TopicNames
    topology: Path
    state: Path
    dice: random.Random
    count: int = 3
    lengths: Lengths = field(default_factory=Lengths)
    ingest: Workers | None = None
    survey: Broker | None = None

    @property
    def connection(self) -> Connection:
        return Connection(bootstrap=(self.broker.address,))

    async def a_while(self, first: float, last: float) -> None:
        await asyncio.sleep(self.dice.uniform(first, last))

    async def victim(self) -> tuple[int, int]:
        """Number and process of a worker that runs."""
        while not (running := self.workers.pids()):  # noqa: ASYNC110  (a log file has no event)
            await asyncio.sleep(0.1)
        return self.dice.choice(sorted(running.items()))


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _nothing(scene: Scene) -> None:
    del scene


async def _kill(scene: Scene) -> None:
    _signal((await scene.victim())[1], signal.SIGKILL)


async def _term(scene: Scene) -> None:
    _signal((await scene.victim())[1], signal.SIGTERM)


async def _wipe(scene: Scene) -> None:
    index, pid = await scene.victim()
    _signal(pid, signal.SIGKILL)
    while scene.workers.pids().get(index) == pid:  # noqa: ASYNC110  (a log file has no event)
        await asyncio.sleep(0.02)
    shutil.rmtree(scene.state / scene.names.topology / f"worker-{index}", ignore_errors=True)


async def _join(scene: Scene) -> None:
    """One more worker comes, and goes: mostly in order, sometimes not."""
    command = run_command(scene.topology, scene.broker.address, scene.state, 1)
    log = scene.state.parent / "joiner.log"
    joiner = Workers(command, log, {"AMPELSTREAM_WORKER_INDEX": "9"})
    try:
        before = joiner.started()
        while joiner.started() == before and joiner.process.poll() is None:  # noqa: ASYNC110  (as above)
            await asyncio.sleep(0.1)
        await scene.a_while(0.0, 6.0)
        if scene.dice.random() < 0.3:
            joiner.kill()
    finally:
        await asyncio.to_thread(joiner.stop)


async def _restart(scene: Scene) -> None:
    end = scene.broker.kill if scene.dice.random() < 0.4 else scene.broker.stop
    await asyncio.to_thread(end)
    await scene.a_while(0.0, 6.0)
    await asyncio.to_thread(scene.broker.start)


async def _pause(scene: Scene) -> None:
    scene.broker.pause()
    try:
        await asyncio.sleep(scene.lengths.pause)
    finally:
        scene.broker.resume()


async def _ingest(scene: Scene) -> None:
    """The process that runs ingest is killed, and started again; the other steps go on."""
    assert scene.ingest is not None
    await asyncio.to_thread(scene.ingest.kill)
    await scene.a_while(0.0, 6.0)
    scene.ingest.start_again()


async def _away(scene: Scene) -> None:
    """The cluster that alerts come from is away for a while; our own goes on."""
    assert scene.survey is not None
    end = scene.survey.kill if scene.dice.random() < 0.4 else scene.survey.stop
    await asyncio.to_thread(end)
    try:
        await asyncio.sleep(scene.lengths.away)
    finally:
        await asyncio.to_thread(scene.survey.start)


async def _freeze(scene: Scene) -> None:
    """A worker stands still for longer than its session, and goes on: others have its work."""
    pid = (await scene.victim())[1]
    _signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(scene.dice.uniform(7.0, 14.0))
    finally:
        _signal(pid, signal.SIGCONT)


async def _refuse(scene: Scene) -> None:
    """The broker does not take records of one topic for some seconds."""
    names = scene.names
    topic = scene.dice.choice(
        [
            names.detections,
            names.events,
            names.candidates,
            names.reactions,
            names.changelog(OBJECTS),
            names.changelog(REACT),
        ]
    )
    refusal = scene.dice.choice([{"max.message.bytes": "64"}, {"min.insync.replicas": "2"}])
    async with _altered(scene.connection, topic, refusal):
        await asyncio.sleep(scene.dice.uniform(2.0, 12.0))


@asynccontextmanager
async def _altered(
    connection: Connection, topic: str, change: dict[str, str]
) -> AsyncIterator[None]:
    own = dict((await inspect(connection, [topic])).topics[topic].own)

    async def alter(config: dict[str, str]) -> None:
        async with open_admin(connection) as admin:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])

    await alter({**own, **change})
    try:
        yield
    finally:
        await alter(own)


async def _rollout(scene: Scene) -> None:
    """Another topology file is rolled out, and the first one again, while alerts go on.

    Either a rule and a region change, or a channel comes, with a backfill.
    """
    text = scene.topology.read_text()
    name, change = scene.dice.choice(list(ROLLOUTS.items()))
    other = scene.topology.with_name(f"{name}.yml")
    for old, new in change:
        assert text.count(old) == 1
        text = text.replace(old, new)
    other.write_text(text)
    for file in (other, scene.topology):
        current = await TopologyLog(scene.connection, scene.names.topology_log).read()
        assert current is not None
        options = ("--roll-back", current.content.digest, "--backfill")
        command = run_command(file, scene.broker.address, scene.state, scene.count, *options)
        started = scene.workers.started()
        before = scene.workers.roll(command)
        code = await asyncio.to_thread(before.wait, 90.0)
        assert code == 77, f"workers with the file before ended with {code}"
        await asyncio.to_thread(scene.workers.wait_started, started + scene.count)
        await scene.a_while(1.0, 4.0)


ROLLOUTS = {
    "rule-and-region": (("cumprob < 0.9", "cumprob < 0.4"), ("region: 0.9", "region: 0.7")),
    "channel": (
        ("react:\n", "  more: {region: 0.5, window: [0, 9]}\nreact:\n"),
        ("name: near, when", "name: near, channel: all, when"),
    ),
}


FAULTS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "none": _nothing,
    "kill": _kill,
    "term": _term,
    "join": _join,
    "restart": _restart,
    "pause": _pause,
    "refuse": _refuse,
    "wipe": _wipe,
    "freeze": _freeze,
    "ingest": _ingest,
    "away": _away,
    "rollout": _rollout,
    "lethal": _nothing,  # what disturbs is in the stream: poison that kills
}
