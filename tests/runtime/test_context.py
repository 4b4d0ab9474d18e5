import asyncio
from pathlib import Path
from typing import Any

import pytest

from ampelstream.errors import ConfigError
from ampelstream.runtime import context as module
from ampelstream.runtime.context import WorkerContext, open_context
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.sources import default_sources
from ampelstream.runtime.settings import WorkerSettings

NAMES = TopicNames("kilonova")


def settings(**changes: Any) -> WorkerSettings:
    return WorkerSettings(
        topology="kilonova", state=Path("s"), engine="faust", broker="localhost:9092", **changes
    )


def context(index: int = 0, **changes: Any) -> WorkerContext:
    connection = Connection(bootstrap="localhost:9092")
    return WorkerContext(
        settings(**changes), index, connection, default_sources(NAMES), 4, "kilonova"
    )


def test_workers_of_one_machine_share_nothing_that_must_differ() -> None:
    one, two = context(0, instance_id="pod"), context(1, instance_id="pod")
    assert (one.directory, two.directory) == (
        Path("s/kilonova/worker-0"),
        Path("s/kilonova/worker-1"),
    )
    assert (one.port, two.port) == (6066, 6067)
    assert (one.instance, two.instance) == ("pod-0", "pod-1")


def test_any_port_is_any_port_for_all() -> None:
    assert context(3, port=0).port == 0


@pytest.mark.parametrize("named", [None, ""])
def test_a_member_without_a_name_is_a_new_one_each_time(named: str | None) -> None:
    assert context(instance_id=named).instance is None


@pytest.mark.parametrize(
    ("host", "advertise", "url"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:1234"),
        ("::1", None, "http://[::1]:1234"),
        ("0.0.0.0", None, "http://worker.example:1234"),  # noqa: S104  (not listened on)
        ("::", None, "http://worker.example:1234"),
        ("0.0.0.0", "10.0.0.7", "http://10.0.0.7:1234"),  # noqa: S104  (not listened on)
    ],
)
def test_where_others_reach_it(
    host: str, advertise: str | None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: "worker.example")
    assert context(host=host, advertise=advertise).url(1234) == url


async def _four_partitions(*_args: object, **_kwargs: object) -> int:
    return 4


def test_it_is_made_of_what_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "verify", _four_partitions)
    made = asyncio.run(open_context(settings(), 2, NAMES, create="make them"))
    assert made.connection.bootstrap == ("localhost:9092",)
    assert made.sources == default_sources(NAMES)
    assert (made.index, made.partitions) == (2, 4)

    missing = settings(sources=tmp_path / "none.yml")
    with pytest.raises(ConfigError, match=r"none\.yml"):
        asyncio.run(open_context(missing, 0, NAMES, create="make them"))


def test_state_in_the_layout_of_before_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "verify", _four_partitions)
    (tmp_path / "worker-0" / "objects").mkdir(parents=True)
    chosen = settings().model_copy(update={"state": tmp_path})
    made = asyncio.run(open_context(chosen, 0, NAMES, create="make them"))
    assert str(tmp_path / "worker-0") in caplog.text
    assert str(tmp_path / "kilonova" / "worker-0") in caplog.text
    caplog.clear()
    (made.directory / "objects").mkdir(parents=True)
    asyncio.run(open_context(chosen, 0, NAMES, create="make them"))
    assert caplog.text == ""
