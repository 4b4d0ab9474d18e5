"""What a test looks at: a worker's log and its answers over HTTP, and what topics hold."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka.admin import NewTopic

from ampelstream.core.state import ObjectState
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.clients import open_admin, open_producer
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.topologylog import TopologyLog

from .soak.fold import Fold, letters, objects
from .workers import Running, wait_until

__all__ = ["alerts_in_state", "answer", "dead", "incidents", "metrics", "produce", "state", "where"]


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Here())


def incidents(worker: Running, event: str) -> list[dict[str, Any]]:
    """Incidents of that name in a log of JSON lines (`--log json`), in order."""
    found = []
    for line in worker.log.read_text().split("\n")[:-1]:
        if f'"event":"{event}"' in line:
            with suppress(json.JSONDecodeError):  # two processes wrote at once
                found.append(json.loads(line))
    return found


def where(worker: Running, starts: int = 1, seconds: float = 40.0) -> str:
    """URL at which a worker answers after so many starts."""
    wait_until(
        lambda: len(incidents(worker, "started")) >= starts, seconds, "the worker has started"
    )
    url = re.search(r"http://\S+", incidents(worker, "started")[-1]["message"])
    assert url is not None
    return url[0]


def answer(url: str) -> tuple[int, Any]:
    """Status and body of an answer; 0 where nobody listens. Redirections are not followed."""
    try:
        with _OPENER.open(url, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:  # also URLError
        return 0, None


def metrics(url: str) -> dict[str, float]:
    """Values of a worker's metrics, by name with labels."""
    with _OPENER.open(f"{url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def _produce(connection: Connection, topic: str, values: Iterable[bytes]) -> None:
    async with open_producer(connection) as producer:
        for sent in [await producer.send(topic, value) for value in values]:
            await sent


def make_topic(connection: Connection, name: str, partitions: int = 3) -> None:
    """Make a topic, and wait until it is there."""

    async def make() -> None:
        async with open_admin(connection) as admin:
            await admin.create_topics([NewTopic(name, partitions, 1)])
            while name not in await admin.list_topics():  # noqa: ASYNC110  (the cluster has no event for it)
                await asyncio.sleep(0.1)

    asyncio.run(make())


def produce(connection: Connection, topic: str, values: Iterable[bytes]) -> None:
    """Bring values into a topic, all acknowledged."""
    asyncio.run(_produce(connection, topic, values))


def _folded(address: str, topic: str, partitions: int) -> Fold:
    fold = Fold(topic, partitions)
    asyncio.run(fold.read(Connection(bootstrap=(address,))))
    return fold


def state(address: str, names: TopicNames, partitions: int) -> list[ObjectState]:
    """Objects as the changelog has them, one for each partition that one is in."""
    return list(objects(_folded(address, names.changelog("objects"), partitions)))


def alerts_in_state(address: str, names: TopicNames, partitions: int) -> Counter[int]:
    """How often each alert is in the state."""
    found = state(address, names, partitions)
    return Counter(alert.candid for one in found for alert in one.alerts)


def dead(address: str, names: TopicNames) -> list[DeadLetter]:
    """Dead letters, one for each record."""
    return list(letters(_folded(address, names.dead_letters, 1)))


def in_force(address: str, topology: str) -> str:
    """Digest of the content of the topology that is in force."""
    log = TopologyLog(Connection(bootstrap=(address,)), TopicNames(topology).topology_log)
    current = asyncio.run(log.read())
    assert current is not None
    return current.content.digest
