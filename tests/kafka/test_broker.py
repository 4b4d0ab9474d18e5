"""Our own broker does as a real cluster does, and the command line starts and stops it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.directory import pid_of, read_record
from ampelstream.testing.broker.ports import LOOPBACK, answers, free_port

USER, PASSWORD = "ampel", "se=cr'et"


async def put(address: str, topic: str, values: list[bytes], **login: Any) -> None:
    """Make a topic where it is missing, and write into it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address, **login)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            large = {"max.message.bytes": str(16 * 1024 * 1024)}  # the broker has Kafka's own
            await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=large)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=address, acks="all", max_request_size=16 * 1024 * 1024, **login
    ) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def get(address: str, topic: str, count: int) -> list[bytes]:
    """As many values from the topic's beginning."""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest", group_id=f"{topic}.readers"
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


def test_data_outlive_a_stop_and_a_kill(own_broker: Broker, unique: str) -> None:
    port = own_broker.port
    large = b"x" * (15 * 1024 * 1024)
    asyncio.run(put(own_broker.address, unique, [b"one", large]))
    own_broker.stop()
    assert not own_broker.alive
    assert not answers(LOOPBACK, port)
    own_broker.start()
    assert own_broker.port == port
    asyncio.run(put(own_broker.address, unique, [b"two"]))
    own_broker.kill()
    assert not own_broker.alive
    again = Broker(own_broker.directory, version=own_broker.version)
    again.start()
    assert again.address == own_broker.address
    try:
        assert asyncio.run(get(again.address, unique, 3)) == [b"one", large, b"two"]
    finally:
        again.kill()


def test_a_paused_broker_is_there_and_does_not_answer(own_broker: Broker) -> None:
    own_broker.pause()
    assert own_broker.alive
    assert not answers(LOOPBACK, own_broker.port, timeout=0.3)
    own_broker.resume()
    assert answers(LOOPBACK, own_broker.port, timeout=5.0)
    own_broker.pause()
    own_broker.stop()  # also from the pause
    assert not own_broker.alive


def test_topics_do_not_make_themselves(broker_address: str, unique: str) -> None:
    async def topics() -> list[str]:
        async with AIOKafkaProducer(bootstrap_servers=broker_address) as producer:
            await producer.client.fetch_all_metadata()
            producer.client.add_topic(unique)
            await producer.client.force_metadata_update()
        admin = AIOKafkaAdminClient(bootstrap_servers=broker_address)
        await admin.start()
        try:
            return list(await admin.list_topics())
        finally:
            await admin.close()

    if os.environ.get("AMPELSTREAM_TEST_BROKER"):
        pytest.skip("the settings of a named broker are its owner's")
    assert unique not in asyncio.run(topics())


def test_users_log_in_with_scram(local_kafka: str, tmp_path: Path, unique: str) -> None:
    broker = Broker(
        tmp_path / "broker",
        version=local_kafka,
        listeners={"LOGIN": "SASL_PLAINTEXT"},
        scram_users={USER: PASSWORD},
    )
    login = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": USER,
        "sasl_plain_password": PASSWORD,
    }
    with broker:
        asyncio.run(put(broker.listener_address("LOGIN"), unique, [b"secret"], **login))
        assert asyncio.run(get(broker.address, unique, 1)) == [b"secret"]
    texts = [path.read_text() for path in broker.directory.iterdir() if path.is_file()]
    assert texts
    assert not any(PASSWORD in text for text in texts)


def test_a_failure_shows_the_end_of_the_log(local_kafka: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        broker = Broker(tmp_path, version=local_kafka, port=other.getsockname()[1])
        # the process may end, or hang on to what it has: either way it says why
        with pytest.raises(BrokerError, match="Address already in use"):
            broker.start(timeout=20.0)
    broker.kill()
    assert not broker.alive


def test_a_port_that_another_broker_has(broker_address: str, tmp_path: Path) -> None:
    host, _, port = broker_address.rpartition(":")
    if host != LOOPBACK:
        pytest.skip(f"the broker is not on {LOOPBACK}")
    with pytest.raises(BrokerError, match="another Kafka broker serves"):
        Broker(tmp_path, port=int(port)).start()


class Command:
    """``ampelstream dev kafka`` in a directory of its own."""

    def __init__(self, home: Path, version: str) -> None:
        self.home = home
        self.data = home / "ampelstream" / "kafka"
        self.version = version

    def __call__(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        environment: Mapping[str, str] = {**os.environ, "XDG_DATA_HOME": str(self.home)}
        return subprocess.run(
            [sys.executable, "-m", "ampelstream", "dev", "kafka", name, *options],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def test_command_line(local_kafka: str, tmp_path: Path) -> None:
    run = Command(tmp_path, local_kafka)
    before = run("status")
    assert (before.returncode, "running  no" in before.stdout) == (1, True)
    port = free_port()
    options = ("--port", str(port), "--version", local_kafka)
    try:
        first = run("start", *options)
        assert (first.returncode, first.stdout) == (0, f"{LOOPBACK}:{port}\n"), first.stderr
        pid = json.loads((run.data / "broker.json").read_bytes())["pid"]
        second = run("start")
        assert (second.returncode, second.stdout) == (0, first.stdout)
        assert "runs already" in second.stderr
        status = run("status")
        assert status.returncode == 0
        for line in (f"address  {LOOPBACK}:{port}", f"pid      {pid}", f"version  {local_kafka}"):
            assert line in status.stdout.splitlines()
        stopped = run("stop")
        assert (stopped.returncode, stopped.stdout) == (0, "")
        assert run("status").returncode == 1
        assert not answers(LOOPBACK, port)
        assert run("stop").returncode == 0
    finally:
        known = read_record(run.data)
        running = pid_of(run.data, known)
        if running is not None:
            os.kill(running, signal.SIGKILL)
