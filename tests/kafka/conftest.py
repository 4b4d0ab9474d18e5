"""A Kafka broker for the tests of this directory: a named one, Docker's, or our own."""

import fcntl
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.directory import server_settings
from ampelstream.testing.broker.jars import DEFAULT_VERSION, fetch, find_java
from ampelstream.testing.broker.ports import LOOPBACK, answers, free_port

HERE = Path(__file__).parent
NAMED = os.environ.get("AMPELSTREAM_TEST_BROKER")
VERSION = os.environ.get("AMPELSTREAM_TEST_KAFKA_VERSION", DEFAULT_VERSION)
IMAGE = f"apache/kafka:{VERSION}"
SHOWN = 40  # lines of a log


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("kafka")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each worker's log where a test fails: elsewhere nobody can look at it."""
    report = yield
    if report.failed and call.when == "call":
        directory = getattr(item, "funcargs", {}).get("tmp_path")
        for log in sorted(directory.rglob("worker-*.log")) if directory else []:
            lines = log.read_text(errors="replace").splitlines()[-SHOWN:]
            report.sections.append((f"end of {log.name}", "\n".join(line[:400] for line in lines)))
    return report


@pytest.fixture(scope="session")
def local_kafka() -> str:
    """Version of the Kafka that Java on this machine can run; without one the test is skipped."""
    try:
        find_java()
        fetch(VERSION)
    except BrokerError as error:
        pytest.skip(f"no Kafka broker: {error}")
    return VERSION


@pytest.fixture(scope="session")
def broker_address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a broker that the tests share; each uses topics of its own (see `unique`)."""
    if NAMED:
        host, _, port = NAMED.split(",")[0].rpartition(":")
        assert answers(host, int(port), 5.0), f"AMPELSTREAM_TEST_BROKER={NAMED} does not answer"
        yield NAMED
    elif docker_has_kafka():
        with container() as address:
            yield address
    else:
        request.getfixturevalue("local_kafka")
        base = tmp_path_factory.getbasetemp()
        # the workers of one run have one directory above their own
        run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        with shared(run / "kafka") as broker:
            yield broker.address


@pytest.fixture
def own_broker(local_kafka: str, tmp_path: Path) -> Iterator[Broker]:
    """A running broker that the test may kill, pause and start again."""
    broker = Broker(tmp_path / "own-broker", version=local_kafka)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def unique() -> str:
    """Name of a topology that no other test has: its topics and groups are the test's own."""
    return f"t{uuid.uuid4().hex[:12]}"


@contextmanager
def shared(directory: Path) -> Iterator[Broker]:
    """One broker for all workers of a run: the first one starts it, the last one stops it.

    Each holds a shared lock as long as it uses the broker. The system frees that of a worker that
    dies, so the count cannot go wrong.
    """
    directory.mkdir(exist_ok=True)
    with (directory / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        # By a command, so that it is nobody's child: who started it may end before the others do.
        command = [sys.executable, "-m", "ampelstream", "dev", "kafka", "start"]
        command += ["--data", str(directory / "broker"), "--version", VERSION]
        command += ["--port", str(free_port())]
        subprocess.run(command, check=True, capture_output=True)
        broker = Broker(directory / "broker", version=VERSION)
        try:
            yield broker
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another worker uses it still
            else:
                broker.kill()  # nobody needs its data


def docker_has_kafka() -> bool:
    """Whether a Docker daemon answers quickly and has, or can pull, Kafka's image."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    commands = ([docker, "version"], 5), ([docker, "pull", "--quiet", IMAGE], 90)
    try:
        return all(
            subprocess.run(command, capture_output=True, check=False, timeout=limit).returncode == 0
            for command, limit in commands
        )
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def container() -> Iterator[str]:
    """A broker in a container. (KafkaContainer knows only the images of Confluent.)"""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  (only with Docker)
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415  (same)

    port = free_port()
    kafka = DockerContainer(IMAGE).with_bind_ports("9092/tcp", port)
    address = f"{kafka.get_container_host_ip()}:{port}"
    told = server_settings(Path("/tmp/kafka-logs"), 9092, 9093, {}, {})  # noqa: S108  (in the container)
    told["listeners"] = told["listeners"].replace(LOOPBACK, "0.0.0.0")  # noqa: S104  (in the container)
    told["advertised.listeners"] = f"PLAINTEXT://{address}"
    for name, value in told.items():
        kafka = kafka.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    kafka = kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    with kafka:
        yield address
