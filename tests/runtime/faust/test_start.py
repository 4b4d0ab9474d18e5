"""A start waits for its directory and for the brokers, and answers probes meanwhile."""

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from ampelstream.errors import ConfigError, UnreachableError
from ampelstream.runtime.faust import start as start_module
from ampelstream.runtime.faust.start import begin
from ampelstream.runtime.service.server import PortError
from ampelstream.runtime.settings import INGEST, WorkerSettings
from ampelstream.testing.broker.ports import free_port
from ampelstream.topology import SinkSpec

TOPOLOGY: Any = SimpleNamespace(
    name="mine",
    version="3",
    hash="abc",
    channels=(),
    reactions=(),
    spec=SimpleNamespace(channels={}),
)


def known() -> object:
    """As much of a context as a start looks at."""
    return SimpleNamespace(partitions=4)


class Brokers:
    """Do not answer so many times."""

    def __init__(self, refusals: int, then: Callable[[], object] = known) -> None:
        self.refusals, self.tries, self._then = refusals, 0, then
        self.asked = asyncio.Event()
        """Set once they were asked three times."""

    async def __call__(self) -> Any:
        self.tries += 1
        if self.tries > 2:
            self.asked.set()
        if self.tries <= self.refusals:
            raise UnreachableError("no broker answers at b:1")
        return self._then()


def settings(tmp_path: Path, port: int = 0) -> WorkerSettings:
    given = {"engine": "faust", "broker": "b:1", "state": tmp_path / "state", "port": port}
    return WorkerSettings.model_validate({"topology": "mine.yml", **given})


async def start(tmp_path: Path, brokers: Brokers, port: int = 0, index: int = 0) -> Any:
    return await begin(TOPOLOGY, settings(tmp_path, port), index, brokers, retry_seconds=0.05)


class Admission:
    """Lets everybody in, and notes that the file is in force."""

    def __init__(self) -> None:
        self.accepted = 0

    async def accept(self, _word: object, *, roll_back: str) -> None:
        assert not roll_back
        self.accepted += 1


@pytest.fixture(autouse=True)
def admission(monkeypatch: pytest.MonkeyPatch) -> Admission:
    made = Admission()
    monkeypatch.setattr(start_module, "open_admission", lambda *_: made)
    return made


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.incident.event for one in caplog.records if hasattr(one, "incident")]


def test_brokers_that_answer_are_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    brokers = Brokers(0)
    assert asyncio.run(start(tmp_path, brokers)) is not None
    assert events(caplog) == ["topology"]
    assert "hash=abc" in caplog.text
    assert (tmp_path / "state" / "mine" / "worker-0" / "lock").read_text() == str(os.getpid())


def test_while_no_broker_answers_it_is_alive_and_not_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()  # of a range from which no connection takes its own: the next is free, too
    brokers = Brokers(10**6)

    async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
        async with session.get(f"http://127.0.0.1:{port + 1}{path}") as response:
            return response.status, await response.text()

    async def main() -> None:
        task = asyncio.create_task(start(tmp_path, brokers, port, 1))
        asked = asyncio.create_task(brokers.asked.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), task
        async with aiohttp.ClientSession() as session:
            assert (await get(session, "/live"))[0] == 200
            status, body = await get(session, "/ready")
            assert status == 503
            assert json.loads(body)["reasons"][0].startswith("ingest: no broker answers since")
            _, text = await get(session, "/metrics")
            assert 'ampelstream_topology_info{hash="abc",name="mine",version="3"} 1.0' in text
            assert 'ampelstream_step_ready{step="objects"} 0.0' in text
            assert "ampelstream_lag_records{" not in text
        brokers.refusals = 0
        assert await task is not None

    asyncio.run(main())
    # once, however often it tries
    assert events(caplog) == ["topology", "broker_away", "broker_back"]
    assert "waiting for the brokers: no broker answers at b:1" in caplog.text


def test_brokers_that_go_away_before_the_file_is_accepted_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a new cluster, which knows of no group for a moment: that needs no warning."""
    asked = Brokers(3)

    class Refusing:
        async def accept(self, _word: object, *, roll_back: str) -> None:
            assert not roll_back
            await asked()

    monkeypatch.setattr(start_module, "open_admission", lambda *_: Refusing())
    caplog.set_level(logging.INFO)
    begun = asyncio.run(start(tmp_path, Brokers(0)))
    assert begun is not None
    assert asked.tries == 4
    assert "broker_away" not in events(caplog)


def test_a_signal_ends_the_wait(tmp_path: Path) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)
        assert await start(tmp_path, Brokers(10**6)) is None
        # and afterwards means again what it meant
        assert not asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

    asyncio.run(main())


def test_a_signal_while_brokers_are_asked_is_not_forgotten(tmp_path: Path) -> None:
    def killed() -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return object()

    async def slowly() -> Any:
        found = await Brokers(0, killed)()
        await asyncio.sleep(0.1)
        return found

    async def main() -> None:
        assert await begin(TOPOLOGY, settings(tmp_path), 0, slowly) is None

    asyncio.run(main())


def test_what_is_wrong_when_brokers_are_back_ends_the_start(tmp_path: Path) -> None:
    def wrong() -> object:
        raise ConfigError("topic a does not exist")

    with pytest.raises(ConfigError, match="topic a does not exist"):
        asyncio.run(start(tmp_path, Brokers(2, wrong)))


def test_a_port_in_use_is_found_while_waiting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortError, match="another port"):
            asyncio.run(start(tmp_path, Brokers(10**6), taken.getsockname()[1]))


class Opened:
    """A heavy unit that has opened what cannot be sent to another process."""

    heavy = True

    def __init__(self) -> None:
        self.lock = threading.Lock()


def with_sink(file: str) -> dict[str, Any]:
    return {"reactions": [SimpleNamespace(name="r", sinks=[SinkSpec(file=file)])]}


def with_unit(unit: object) -> dict[str, Any]:
    return {"channels": [SimpleNamespace(units=[SimpleNamespace(name="u", unit=unit)])]}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (with_unit(Opened()), "unit u is heavy.*cannot be pickled"),
        (with_sink("other.txt"), "other.txt:1 is not a reaction"),
        (with_sink("other.txt/reactions"), "reactions cannot be written to"),
        (with_sink("null\0"), "reactions cannot be written to"),
    ],
)
def test_a_file_with_which_no_worker_could_start_does_not_come_into_force(
    tmp_path: Path, admission: Admission, given: dict[str, Any], why: str
) -> None:
    """Else all others would stop for it, and nobody work."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "other.txt").write_text("something else\n")
    topology: Any = SimpleNamespace(**{**vars(TOPOLOGY), **given})
    brokers = Brokers(0)
    with pytest.raises(ConfigError, match=why):
        asyncio.run(begin(topology, settings(tmp_path), 0, brokers))
    assert (admission.accepted, brokers.tries) == (0, 0)


def test_a_sink_is_no_concern_of_a_worker_that_does_not_react(
    tmp_path: Path, admission: Admission
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "other.txt").write_text("something else\n")
    topology: Any = SimpleNamespace(**{**vars(TOPOLOGY), **with_sink("other.txt")})
    chosen = settings(tmp_path).model_copy(update={"steps": (INGEST,)})
    assert asyncio.run(begin(topology, chosen, 0, Brokers(0))) is not None
    assert admission.accepted == 1


def test_a_directory_that_cannot_be_made_is_met_before_the_file_comes_into_force(
    tmp_path: Path, admission: Admission
) -> None:
    (tmp_path / "state").write_text("no directory")
    with pytest.raises(ConfigError, match="cannot hold the state: Not a directory"):
        asyncio.run(start(tmp_path, Brokers(0)))
    assert admission.accepted == 0


def test_objects_that_are_joined_are_not_parted(tmp_path: Path, admission: Admission) -> None:
    """Before the file comes into force: no worker could do what it asks for."""
    spec = SimpleNamespace(channels={"sky": SimpleNamespace(associate=1.0)})
    topology: Any = SimpleNamespace(**{**vars(TOPOLOGY), "spec": spec})
    with pytest.raises(ConfigError, match=r"channels.sky.associate .* there are 4"):
        asyncio.run(begin(topology, settings(tmp_path), 0, Brokers(0)))
    assert admission.accepted == 0
