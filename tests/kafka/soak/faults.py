"""The faults; each is done once in a round, while packets flow."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ampelstream.runtime.kafka.admin import inspect
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.testing.broker.broker import Broker
from tests.kafka.soak.cluster import Workers, run_command

__all__ = ["FAULTS", "Scene"]


@dataclass(slots=True)
class Scene:
    """What a fault may touch."""

    broker: Broker
    workers: Workers
    names: TopicNames
    topology: Path
    state: Path
    dice: random.Random
    scale: float = 1.0

    @property
    def connection(self) -> Connection:
        return Connection(bootstrap=(self.broker.address,))

    async def a_while(self, first: float, last: float) -> None:
        await asyncio.sleep(self.dice.uniform(first, last) * self.scale)

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
    shutil.rmtree(scene.state / f"worker-{index}", ignore_errors=True)


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
        await asyncio.sleep(20.0)
    finally:
        scene.broker.resume()


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
}
