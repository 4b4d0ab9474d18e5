"""Alerts from clusters of others: encrypted, by password or token, topics that appear at night."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from ampelstream.runtime.kafka.clients import open_admin, open_consumer
from ampelstream.runtime.kafka.connection import Connection

from .foreign import PASSWORD, TOKEN_SECRET, scram_cluster, token_cluster, tokens
from .looking import incidents, make_topic, produce, state, where
from .small import Small
from .workers import Running, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PATTERN = r"ztf_\d{8}_programid1"
FIRST, SECOND, OTHER = (
    "ztf_20240115_programid1",
    "ztf_20240116_programid1",
    "ztf_20240115_programid2",
)
PACKETS = 3000


def behind(connection: Connection, group: str, topics: list[str]) -> int:
    """Records of topics that a group has not committed; each has three partitions."""

    async def look() -> int:
        places = [TopicPartition(topic, number) for topic in topics for number in range(3)]
        async with open_consumer(connection) as consumer, open_admin(connection) as admin:
            ends = await consumer.end_offsets(places)
            done = await admin.list_consumer_group_offsets(group)
        return sum(end - (done[tp].offset if tp in done else 0) for tp, end in ends.items())

    return asyncio.run(look())


class Away:
    """A topology whose alerts come from a cluster of others."""

    def __init__(self, small: Small, cluster: dict[str, Any]) -> None:
        self.small = small
        self.group = f"{small.names.ingest_group}.alerts-survey"
        sources = {
            "clusters": {"survey": cluster},
            "alerts": [{"cluster": "survey", "pattern": PATTERN}],
            "notices": [{"topics": small.names.notices}],
        }
        self.file = small.directory / "sources.yml"
        self.file.write_text(json.dumps(sources))

    @contextmanager
    def worker(self, log: str) -> Iterator[Running]:
        worker = self.small.worker("--sources", self.file, "--refresh", "2", log=log)
        try:
            yield worker
        finally:
            worker.process.kill()
            worker.process.wait()

    def values(self, numbers: range) -> list[bytes]:
        return [self.small.stream.value(number) for number in numbers]

    def wait_for(self, count: int, seconds: float = 60) -> None:
        wait_until(lambda: len(self.small.alerts()) >= count, seconds, f"{count} alerts")


def test_nightly_topics_exactly_over_kill_and_stop(
    local_kafka: str,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SURVEY_PASSWORD", PASSWORD)
    small = Small(broker_address, unique, tmp_path, packets=PACKETS)
    with scram_cluster(tmp_path / "survey", local_kafka) as (broker, ca):
        there = Connection(bootstrap=(broker.address,))
        cluster = {
            "bootstrap": broker.listener_address("LOGIN"),
            "security": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512",
            "username": "reader",
            "password": {"env": "SURVEY_PASSWORD"},
            "ca": str(ca),
        }
        away = Away(small, cluster)
        for topic in (FIRST, OTHER):
            make_topic(there, topic)
        produce(there, FIRST, away.values(range(1, 101)))
        produce(there, OTHER, away.values(range(2901, 3001)))  # not ours
        with away.worker("killed"):
            away.wait_for(100)
            make_topic(there, SECOND)  # tonight's, while it runs
            produce(there, SECOND, away.values(range(101, 1501)))
            away.wait_for(101, 40)
        # killed, in the middle of it
        with away.worker("stopped") as worker:
            produce(there, SECOND, away.values(range(1501, 2801)))
            done = len(small.alerts())
            away.wait_for(done + 1)
            assert worker.stop() == 0
        with away.worker("last") as worker:
            where(worker)  # the one before may have left nothing to do
            away.wait_for(2800)
            wait_until(lambda: behind(there, away.group, [FIRST, SECOND]) == 0, 20, "all committed")
            assert worker.stop() == 0
        assert behind(there, away.group, [FIRST, SECOND]) == 0
    assert small.alerts() == Counter(range(1, 2801))
    found = {
        alert.candid: alert.where.source
        for one in state(broker_address, small.names, small.partitions)
        for alert in one.alerts
    }
    assert Counter(found.values()) == {FIRST: 100, SECOND: 2700}
    assert all((source == FIRST) == (candid <= 100) for candid, source in found.items())
    logs = "".join(log.read_text() for log in tmp_path.glob("worker-*.log"))
    assert PASSWORD not in logs


@pytest.mark.full
def test_a_wrong_password_is_said_and_not_shown(
    local_kafka: str,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = "not-the-password-4410"
    monkeypatch.setenv("SURVEY_PASSWORD", wrong)
    small = Small(broker_address, unique, tmp_path)
    with scram_cluster(tmp_path / "survey", local_kafka) as (broker, ca):
        cluster = {
            "bootstrap": broker.listener_address("LOGIN"),
            "security": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512",
            "username": "reader",
            "password": {"env": "SURVEY_PASSWORD"},
            "ca": str(ca),
        }
        with Away(small, cluster).worker("wrong") as worker:
            # the other inputs and steps go on, so it does not end; it says what is wrong
            wait_until(lambda: worker.said("no broker answers at"), 90, "it says so")
            assert worker.process.poll() is None
            said = worker.log.read_text()
    [away] = incidents(worker, "broker_away")
    assert away["fields"]["steps"] == ["ingest-alerts-survey"]
    assert "Are address, security and credentials right?" in away["message"]
    assert "SaslAuthenticationFailed" in said
    assert broker.listener_address("LOGIN") in said
    assert wrong not in said
    assert "Traceback" not in said


@pytest.mark.full
@pytest.mark.timeout(400)
def test_tokens_that_expire_while_it_reads(
    local_kafka: str,
    broker_address: str,
    unique: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SURVEY_SECRET", TOKEN_SECRET)
    small = Small(broker_address, unique, tmp_path)
    with (
        tokens(life_seconds=4) as server,
        token_cluster(tmp_path / "survey", local_kafka, session_ms=4000) as broker,
    ):
        there = Connection(bootstrap=(broker.address,))
        cluster = {
            "bootstrap": broker.listener_address("TOKEN"),
            "security": "SASL_PLAINTEXT",
            "mechanism": "OAUTHBEARER",
            "token_url": server.url,
            "client_id": "reader",
            "client_secret": {"env": "SURVEY_SECRET"},
        }
        away = Away(small, cluster)
        make_topic(there, FIRST)
        with away.worker("tokens") as worker:
            given: list[int] = []
            for part in range(1, 5):  # until several tokens have run out
                produce(there, FIRST, away.values(range(10 * part - 9, 10 * part + 1)))
                away.wait_for(10 * part, 120)  # a connection may be cut while the worker joins
                given.append(server.given)
                wait_until(lambda n=server.given: server.given > n, 30, "a new token was asked for")  # type: ignore[misc]  # (a default that binds)
            wait_for_work(broker_address, unique)
            wait_until(lambda: behind(there, away.group, [FIRST]) == 0, 20, "all committed")
            assert worker.stop() == 0
            said = worker.log.read_text()
    assert small.alerts() == Counter(range(1, 41))
    assert given == sorted(set(given))
    assert TOKEN_SECRET not in said
