"""Creating, altering and checking topics on a real broker."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ampelstream.errors import ConfigError, SourceError
from ampelstream.runtime.kafka.admin import inspect, verify
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.sources import SourcesSpec, default_sources

FILE = """
name: {name}
version: 1
channels: {{all: {{window: [0, 1]}}}}
kafka: {{partitions: 3, retention_days: {{alerts: 2}}}}
"""


class Mine:
    """A topology with a name of its own, and the command line on it."""

    def __init__(self, broker: str, folder: Path) -> None:
        self.names = TopicNames(f"t{uuid.uuid4().hex[:10]}")
        self.file = folder / "mine.yml"
        self.file.write_text(FILE.format(name=self.names.topology))
        self.broker = broker
        self.connection = Connection(bootstrap=(broker,))

    def topics(
        self, command: str, *more: object, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        options = () if env else ("--broker", self.broker)
        return subprocess.run(
            [sys.executable, "-m", "ampelstream", "topics", command, str(self.file)]
            + [str(one) for one in (*options, *more)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin", "HOME": str(self.file.parent), **(env or {})},
        )


@pytest.fixture
def mine(broker_address: str, tmp_path: Path) -> Mine:
    return Mine(broker_address, tmp_path)


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["topic"]: row for row in map(json.loads, done.stdout.splitlines())}


def actions(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {row["action"] for row in rows(done).values()}


def test_create_shows_then_does_then_has_nothing_to_do(mine: Mine) -> None:
    shown = mine.topics("create")
    assert shown.returncode == 0, shown.stderr
    assert actions(shown) == {"create"}
    assert "--yes" in shown.stderr
    assert {row["partitions"] for row in rows(mine.topics("list")).values()} == {None}
    done = mine.topics("create", "--yes")
    assert done.returncode == 0, done.stderr
    again = mine.topics("create", "--yes", env={"AMPELSTREAM_BROKER": mine.broker})
    assert again.returncode == 0, again.stderr
    assert actions(again) == {"keep"}
    listed = rows(mine.topics("list"))
    assert listed[mine.names.alerts] == {
        "topic": mine.names.alerts,
        "partitions": 3,
        "records": 0,
    }
    assert listed[mine.names.dead_letters]["partitions"] == 1
    found = asyncio.run(inspect(mine.connection, listed.keys()))
    assert found.brokers == 1
    assert found.topics[mine.names.alerts].config["retention.ms"] == str(2 * 86_400_000)
    changelog = found.topics[mine.names.changelog("objects")]
    assert changelog.config["cleanup.policy"] == "compact"
    assert changelog.config["max.message.bytes"] == str(16 << 20)


def test_settings_are_altered_and_those_of_others_kept(mine: Mine) -> None:
    assert mine.topics("create", "--yes").returncode == 0

    async def meddle() -> None:
        own = {"retention.ms": "1", "cleanup.policy": "delete", "segment.ms": "7000000"}
        async with open_admin(mine.connection) as client:
            await client.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, mine.names.alerts, own)]
            )

    asyncio.run(meddle())
    shown = rows(mine.topics("create"))[mine.names.alerts]
    assert shown["action"] == "alter"
    assert shown["changes"]["retention.ms"] == {"from": "1", "to": str(2 * 86_400_000)}
    done = mine.topics("create", "--yes")
    assert done.returncode == 0, done.stderr
    assert "altered 1" in done.stderr
    found = asyncio.run(inspect(mine.connection, [mine.names.alerts])).topics[mine.names.alerts]
    assert found.config["retention.ms"] == str(2 * 86_400_000)
    assert found.own["segment.ms"] == "7000000"
    assert actions(mine.topics("create")) == {"keep"}


def test_a_wrong_partition_count_is_a_conflict(mine: Mine) -> None:
    assert mine.topics("create", "--yes", "--partitions", 2).returncode == 0
    done = mine.topics("create", "--yes")
    assert done.returncode == 1
    conflicts = [row for row in rows(done).values() if row["action"] == "conflict"]
    assert mine.names.detections in {row["topic"] for row in conflicts}
    assert all("2 partitions, not 3" in row["remark"] for row in conflicts)
    assert rows(done)[mine.names.alerts]["action"] == "keep"


def test_a_start_is_refused_until_the_topics_are_there(mine: Mine) -> None:
    sources = default_sources(mine.names)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(verify(mine.connection, mine.names, sources, create="mend it"))
    for name in (mine.names.alerts, mine.names.events, mine.names.changelog("react"), "mend it"):
        assert name in str(caught.value)
    assert mine.topics("create", "--yes", "--partitions", 2).returncode == 0
    assert asyncio.run(verify(mine.connection, mine.names, sources, create="mend it")) == 2
    elsewhere = SourcesSpec.model_validate(
        {
            "clusters": {"far": {"bootstrap": "far.example.org"}},
            "alerts": [{"cluster": "far", "topics": ["x"]}],
            "notices": [{"topics": ["not-there"]}],
        }
    )
    with pytest.raises(ConfigError, match="topic not-there does not exist") as caught:
        asyncio.run(verify(mine.connection, mine.names, elsewhere, create="mend it"))
    assert mine.names.topology not in str(caught.value)


def test_more_copies_than_brokers_are_refused(mine: Mine) -> None:
    done = mine.topics("create", "--yes", "--replication", 3)
    assert done.returncode == 1
    assert "the cluster has 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_is_not_there_is_named(tmp_path: Path) -> None:
    nobody = Mine("127.0.0.1:1", tmp_path)
    done = nobody.topics("create")
    assert done.returncode == 1
    assert "no broker answers at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(SourceError, match="no broker answers"):
        asyncio.run(inspect(nobody.connection, []))


def test_the_broker_may_be_a_file(mine: Mine, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yml"
    file.write_text(f"bootstrap: {mine.broker}\nsecurity: PLAINTEXT\n")
    mine.broker = str(file)
    assert actions(mine.topics("create")) == {"create"}
