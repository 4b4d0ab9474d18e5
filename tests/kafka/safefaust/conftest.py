"""What the tests of loss share: topics, records, offsets, and scenarios in their own process."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata

R = TypeVar("R")
REPOSITORY = Path(__file__).resolve().parents[3]


class Scenario:
    """A scenario that runs in a process of its own."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        self._errors = log.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def line(self) -> str:
        """Next line that it writes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the scenario ended: {self._log.read_text()[-4000:]}"
        return line

    def go(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def wait(self, seconds: float) -> None:
        """Wait for its end; TimeoutError where it does not come."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def result(self) -> dict[str, Any]:
        """Wait for its end; gives its result."""
        out, _ = self._process.communicate(timeout=60)
        lines = out.strip().splitlines()
        assert lines, self._log.read_text()[-4000:]
        assert self._process.returncode == 0
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


class Lab:
    """Topics of one test on a broker, and the scenarios that work on them."""

    def __init__(self, address: str, name: str, directory: Path) -> None:
        self.address, self.name, self._directory = address, name, directory
        self.scenarios: list[Scenario] = []

    @property
    def source(self) -> str:
        return f"{self.name}-source"

    @property
    def output(self) -> str:
        return f"{self.name}-output"

    def changelog(self, table: str) -> str:
        return f"{self.name}-{table}-changelog"

    def create(self, topic: str, **configs: str) -> None:
        """Make a topic of one partition."""

        async def create() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
            await admin.start()
            try:
                named = {name.replace("_", "."): value for name, value in configs.items()}
                answer = await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=named)])
                assert all(not code for _, code, *_ in answer.topic_errors), answer
            finally:
                await admin.close()

        asyncio.run(create())

    def put(self, topic: str, records: Iterable[tuple[bytes | None, bytes]]) -> None:
        """Produce records."""

        async def put() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self.address) as producer:
                for key, value in records:
                    await producer.send(topic, value, key=key)

        asyncio.run(put())

    def values(self, topic: str) -> list[bytes]:
        """Values of all records of a topic."""

        async def values(consumer: Any) -> list[bytes]:
            tp = TopicPartition(topic, 0)
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            end = (await consumer.end_offsets([tp]))[tp]
            found: list[bytes] = []
            while await consumer.position(tp) < end:
                for part in (await consumer.getmany(timeout_ms=200)).values():
                    found += [record.value for record in part]
            return found

        return self._with_consumer(values)

    def committed(self) -> int:
        """Committed offset of the source; 0 without one."""

        async def committed(consumer: Any) -> int:
            return await consumer.committed(TopicPartition(self.source, 0)) or 0

        return self._with_consumer(committed)

    def commit(self, offset: int) -> None:
        """Commit as if somebody had worked up to there."""

        async def commit(consumer: Any) -> None:
            tp = TopicPartition(self.source, 0)
            consumer.assign([tp])
            await consumer.commit({tp: OffsetAndMetadata(offset, "")})

        self._with_consumer(commit)

    def _with_consumer(self, work: Callable[[Any], Coroutine[Any, Any, R]]) -> R:
        async def run() -> R:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.address, group_id=self.name, enable_auto_commit=False
            )
            await consumer.start()
            try:
                while not consumer._client.cluster.brokers():  # one that was paused is out a moment
                    await asyncio.sleep(0.1)
                    await consumer._client.force_metadata_update()
                return await work(consumer)
            finally:
                await consumer.stop()

        return asyncio.run(run())

    def begin(self, scenario: str, variant: str, **params: object) -> Scenario:
        """Start a scenario."""
        number = len(self.scenarios)
        command = [sys.executable, "-m", "tests.kafka.safefaust.program", scenario, variant]
        command += [self.address, self.name, str(self._directory / "state"), json.dumps(params)]
        began = Scenario(command, self._directory / f"scenario-{number}.log")
        self.scenarios.append(began)
        return began

    def play(self, scenario: str, variant: str, **params: object) -> dict[str, Any]:
        """Run a scenario to its end."""
        return self.begin(scenario, variant, **params).result()


@pytest.fixture
def make_lab(unique: str, tmp_path: Path) -> Iterable[Callable[[str], Lab]]:
    labs: list[Lab] = []

    def make(address: str) -> Lab:
        labs.append(Lab(address, unique, tmp_path))
        return labs[-1]

    yield make
    for lab in labs:
        for scenario in lab.scenarios:
            scenario.kill()


@pytest.fixture
def lab(broker_address: str, make_lab: Callable[[str], Lab]) -> Lab:
    return make_lab(broker_address)
