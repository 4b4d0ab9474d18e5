"""Half-open connections keep nobody from being answered."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.service import server as module
from ampelstream.runtime.service.connections import Connections
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.service.server import Server

HOST = "127.0.0.1"
HALF = b"GET /live HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture
def many_files() -> Iterator[None]:
    """Enough descriptors for both ends of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def serve(
    monkeypatch: pytest.MonkeyPatch,
    play: Callable[[int, Connections], Awaitable[None]],
    **limits: float,
) -> None:
    """Run a server with these limits of its connections."""
    made: list[Connections] = []

    def connections(protocol: Callable[[], object]) -> Connections:
        made.append(Connections(protocol, **limits))  # type: ignore[arg-type]  # (seconds and a count)
        return made[0]

    monkeypatch.setattr(module, "Connections", connections)

    async def main() -> None:
        server = Server(Health(), Metrics(Accounting(), CollectorRegistry()))
        port = await server.start()
        try:
            await play(port, made[0])
        finally:
            await server.stop()

    asyncio.run(main())


async def half_open(port: int, count: int) -> list[asyncio.StreamWriter]:
    """So many connections whose request never ends."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(HALF)
        writers.append(writer)
    return writers


async def write_on(writer: asyncio.StreamWriter) -> None:
    for _ in range(100):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def close(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def asked(port: int, path: str = "/live") -> tuple[bytes, float]:
    """Status line of an answer, and how long it took [s]."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
    status = await reader.readline()
    await reader.read()
    took = time.monotonic() - began
    await close([writer])
    return status, took


@pytest.mark.usefixtures("many_files")
def test_probes_are_answered_under_a_thousand_half_open_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(port: int, connections: Connections) -> None:
        writers = await half_open(port, 1000)
        assert len(connections) <= 200
        times = []
        for path in ("/live", "/ready") * 5:
            status, took = await asked(port, path)
            assert status.split()[1] in {b"200", b"503"}
            times.append(took)
        assert sorted(times)[-2] < 0.1, times  # one may meet a busy machine
        await close(writers)

    serve(monkeypatch, play)


def test_a_head_that_does_not_end_in_time_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(port: int, connections: Connections) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(HALF)
        began = time.monotonic()
        ended = asyncio.ensure_future(reader.read())
        while not ended.done() and time.monotonic() - began < 10:
            with contextlib.suppress(OSError):
                writer.write(b"x")  # a byte now and then ends no head
            await asyncio.wait({ended}, timeout=0.05)
        assert 0.2 < time.monotonic() - began < 5.0
        ended.exception()
        assert len(connections) == 0
        await close([writer])

    serve(monkeypatch, play, head_seconds=0.3)


def test_a_head_in_pieces_is_a_request_and_its_connection_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(port: int, _connections: Connections) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for _ in range(2):
            for piece in (b"GET /live HTTP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
                writer.write(piece)
                await asyncio.sleep(0.02)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"}")
            await asyncio.sleep(0.3)  # longer than a head may take
        await close([writer])

    serve(monkeypatch, play, head_seconds=0.2)


def test_the_oldest_that_said_nothing_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(port: int, connections: Connections) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}")  # it is kept, and the oldest of all
        first, *others = await half_open(port, 3)
        status, _ = await asked(port)
        assert status.split()[1] == b"200"
        assert len(connections) == 3
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}")  # it lives
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await write_on(first)
        await close([writer, first, *others])

    serve(monkeypatch, play, most=4)


def test_where_all_have_asked_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(port: int, connections: Connections) -> None:
        kept = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"}")
            kept.append(writer)
        assert len(connections) == 2
        await close(kept)

    serve(monkeypatch, play, most=2)


def test_a_stopped_server_listens_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    async def play(port: int, _connections: Connections) -> None:
        ports.append(port)
        assert (await asked(port))[0].split()[1] == b"200"

    serve(monkeypatch, play)
    with socket.socket() as free, pytest.raises(ConnectionRefusedError):
        free.connect((HOST, ports[0]))
