"""The schema registry's client against a server on this machine."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestServer
from stamina.instrumentation import RetryDetails

from ampelstream.errors import ConfigError
from ampelstream.sources.schemaregistry import SchemaRegistry

SCHEMA = {"type": "record", "name": "made.alert", "fields": [{"name": "n", "type": "long"}]}
pytestmark = pytest.mark.usefixtures("retries", "direct")


class Registry:
    """A registry with what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.authorization: list[str | None] = []
        self.schemas: dict[int, str] = {}
        self.status: list[int] = []
        """Answers to the next requests instead of a schema."""
        self.body: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        self.asked.append(number)
        self.authorization.append(request.headers.get("Authorization"))
        if self.status:
            return web.Response(status=self.status.pop(0))
        if self.body is not None:
            return web.Response(text=self.body)
        if number not in self.schemas:
            return web.json_response({"error_code": 40403}, status=404)
        body = json.dumps({"schema": self.schemas[number]})
        return web.Response(text=body, content_type="application/vnd.schemaregistry.v1+json")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Story = Callable[[Registry, str], Awaitable[None]]


def run(story: Story) -> None:
    async def serve() -> None:
        registry = Registry()
        app = web.Application()
        app.router.add_get("/api/schemas/ids/{number}", registry.answer)
        async with TestServer(app) as server:
            await story(registry, str(server.make_url("/api/")))

    asyncio.run(serve())


def client(url: str, folder: Path, clock: Clock | None = None, **more: Any) -> SchemaRegistry:
    clock = clock or Clock()
    return SchemaRegistry(url, folder, clock=clock, **more)


def test_fetched_once_then_known(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        server.schemas[701] = json.dumps(SCHEMA)
        registry = client(url, tmp_path)
        assert registry.known(701) is None
        assert await asyncio.gather(*(registry.fetch(701) for _ in range(5))) == [True] * 5
        assert server.asked == [701]
        schema = registry.known(701)
        assert schema is not None
        assert schema["name"] == "made.alert"
        assert registry.known(701) is schema

    run(story)


def test_missing_first_then_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, retries: list[RetryDetails]
) -> None:
    async def story(server: Registry, url: str) -> None:
        clock = Clock()
        registry = client(url, tmp_path, clock, retry_seconds=60.0)
        assert not await registry.fetch(900)
        server.schemas[900] = json.dumps(SCHEMA)
        clock.now = 59.0
        for _ in range(10):
            assert registry.known(900) is None
            assert not await registry.fetch(900)
        assert server.asked == [900]
        clock.now = 60.0
        assert await registry.fetch(900)
        assert server.asked == [900, 900]
        assert retries == []

    with caplog.at_level(logging.WARNING):
        run(story)
    lines = [record.getMessage() for record in caplog.records if "schema 900" in record.message]
    assert len(lines) == 1
    assert "404" in lines[0]


def test_a_schema_that_is_not_there_is_asked_for_ever_less_often(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        clock = Clock()
        registry = client(url, tmp_path, clock, retry_seconds=60.0)
        asked: list[float] = []
        for clock.now in range(0, 86_400, 5):
            before = len(server.asked)
            await registry.fetch(900)
            asked += [clock.now] * (len(server.asked) - before)
        pauses = [later - sooner for sooner, later in pairwise(asked)]
        assert pauses[:5] == [60.0, 120.0, 240.0, 480.0, 600.0]
        assert set(pauses[5:]) == {600.0}
        assert len(asked) == 147  # in a day
        server.status = [503] * 4  # a registry that is away is another matter
        clock.now = 90_000
        assert not await registry.fetch(900)
        clock.now += 60
        server.schemas[900] = json.dumps(SCHEMA)
        assert await registry.fetch(900)

    run(story)


def test_a_server_that_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, retries: list[RetryDetails]
) -> None:
    clock = Clock()
    registry = client("http://127.0.0.1:9", tmp_path, clock, attempts=3, first_delay=0.5)
    with caplog.at_level(logging.WARNING):
        assert not asyncio.run(registry.fetch(701))
        assert not asyncio.run(registry.fetch(701))
        assert not asyncio.run(registry.fetch(702))  # not asked: the registry did not answer
    assert len(retries) == 2
    assert len(caplog.records) == 1
    assert "3 attempts" in caplog.text


def test_a_server_that_comes_back(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        clock = Clock()
        registry = client(url, tmp_path, clock, attempts=2, retry_seconds=60.0)
        server.status = [503, 503]
        server.schemas = dict.fromkeys((701, 703), json.dumps(SCHEMA))
        assert not await registry.fetch(701)
        clock.now = 59.0
        assert not await registry.fetch(703)
        assert server.asked == [701, 701]
        clock.now = 60.0
        assert await registry.fetch(703)
        assert await registry.fetch(701)

    run(story)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_fault_that_passes(
    tmp_path: Path, status: int, retries: list[RetryDetails], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(server: Registry, url: str) -> None:
        server.schemas[701] = json.dumps(SCHEMA)
        server.status = [status, status]
        assert await client(url, tmp_path).fetch(701)

    run(story)
    assert len(retries) == 2
    assert [one for one in caplog.records if one.levelno > logging.INFO] == []


def test_the_waits_grow(tmp_path: Path, retries: list[RetryDetails]) -> None:
    async def story(server: Registry, url: str) -> None:
        server.status = [503, 503, 503, 503]
        assert not await client(url, tmp_path, first_delay=0.001).fetch(701)

    with stamina.set_testing(testing=False):
        run(story)
    waits = [one.wait_for for one in retries]
    least = [0.001, 0.002, 0.004]
    assert all(low <= wait <= low + 0.001 for low, wait in zip(least, waits, strict=True))


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_refused_does_not_insist(tmp_path: Path, status: int) -> None:
    async def story(server: Registry, url: str) -> None:
        server.status = [status] * 9
        registry = client(url, tmp_path)
        assert not await registry.fetch(701)
        assert server.asked == [701]
        assert not registry.refused(701)  # of the schema, this says nothing

    run(story)


@pytest.mark.parametrize("status", [400, 422])
def test_a_number_that_cannot_be_one_is_that_of_no_schema(tmp_path: Path, status: int) -> None:
    """Else a damaged record would hold up the backfill of all others."""

    async def story(server: Registry, url: str) -> None:
        server.status = [status] * 9
        registry = client(url, tmp_path)
        assert not await registry.fetch(701)
        assert registry.refused(701)

    run(story)


def test_that_it_does_not_have_one_is_told_from_that_it_is_away(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        clock = Clock()
        registry = client(url, tmp_path, clock)
        assert not registry.refused(701)
        server.status = [503] * 9
        assert not await registry.fetch(701)
        assert not registry.refused(701)
        server.status = []
        clock.now += 1000
        assert not await registry.fetch(701)
        assert registry.refused(701)
        server.schemas[701] = json.dumps(SCHEMA)
        clock.now += 1000
        assert await registry.fetch(701)
        assert not registry.refused(701)

    run(story)


@pytest.mark.parametrize(
    "body",
    ["", "<html>", "[1]", "{}", '{"schema": 1}', '{"schema": "{"}', '{"schema": "\\"int\\""}'],
)
def test_an_answer_that_is_no_schema(tmp_path: Path, body: str) -> None:
    async def story(server: Registry, url: str) -> None:
        server.body = body
        registry = client(url, tmp_path)
        assert not await registry.fetch(701)
        assert registry.known(701) is None

    run(story)
    assert list(tmp_path.rglob("*.avsc")) == []


def test_a_second_process_needs_no_network(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        waiting = client(url, tmp_path)
        assert waiting.known(701) is None  # before the first process fetched it
        server.schemas[701] = json.dumps(SCHEMA)
        assert await client(url, tmp_path).fetch(701)
        second = client(url, tmp_path)
        schema = second.known(701)
        assert schema is not None
        assert schema["fields"][0]["name"] == "n"
        assert await second.fetch(701)
        assert await waiting.fetch(701)
        assert server.asked == [701]

    run(story)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b'"nothing"'])
def test_a_corrupt_file_is_fetched_again(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(server: Registry, url: str) -> None:
        server.schemas[701] = json.dumps(SCHEMA)
        assert await client(url, tmp_path).fetch(701)
        damage()
        registry = client(url, tmp_path)
        assert registry.known(701) is None
        assert await registry.fetch(701)
        assert server.asked == [701, 701]

    def damage() -> None:
        (file,) = tmp_path.rglob("*.avsc")
        file.write_bytes(content)

    run(story)
    (file,) = tmp_path.rglob("*.avsc")
    assert json.loads(file.read_text()) == SCHEMA
    assert list(file.parent.iterdir()) == [file]
    assert "fetched again" in caplog.text


def test_two_registries_do_not_mix(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        server.schemas[1] = json.dumps(SCHEMA)
        assert await client(url, tmp_path).fetch(1)
        assert client("https://registry.example.org", tmp_path).known(1) is None

    run(story)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    async def story(server: Registry, url: str) -> None:
        server.schemas[1] = json.dumps(SCHEMA)
        blocked = tmp_path / "file"
        blocked.write_text("")
        registry = client(url, blocked)
        assert await registry.fetch(1)
        assert registry.known(1) is not None

    run(story)


def test_basic_authentication_that_nothing_repeats(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(server: Registry, url: str) -> None:
        registry = client(url, tmp_path, user="reader", password="hush-hush")  # noqa: S106  (made up)
        assert not await registry.fetch(1)
        assert server.authorization == ["Basic cmVhZGVyOmh1c2gtaHVzaA=="]
        assert "hush" not in repr(registry) + caplog.text

    run(story)


def test_a_password_is_not_shown_to_another_host(tmp_path: Path) -> None:
    async def elsewhere(server: Registry, url: str) -> None:
        server.schemas[1] = json.dumps(SCHEMA)

        async def pointing(request: web.Request) -> web.Response:
            shown.append(request.headers.get("Authorization"))
            raise web.HTTPFound(url.rstrip("/") + "/schemas/ids/1")

        shown: list[str | None] = []
        app = web.Application()
        app.router.add_get("/schemas/ids/1", pointing)
        async with TestServer(app) as first:
            registry = client(str(first.make_url("/")), tmp_path, user="a", password="b")  # noqa: S106  (made up)
            assert await registry.fetch(1)
        assert shown == ["Basic YTpi"]
        assert server.authorization == [None]

    run(elsewhere)


@pytest.mark.parametrize("url", ["", "registry:8081", "ftp://a/b", "http://", "http://[::1"])
def test_what_is_no_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="URL"):
        client(url, tmp_path)


def test_a_password_in_the_url_is_refused_unseen(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="separately") as caught:
        client("https://reader:hush@registry.example.org", tmp_path)
    assert "hush" not in str(caught.value)
