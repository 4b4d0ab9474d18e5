"""Responses arrive whole and in order, however they are cut up; and an end is an end."""

import asyncio
import os
from collections.abc import Sequence

import pytest
from aiokafka import conn
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.runtime.safefaust.receiving import Frames, receive_directly

SMALL, LARGE = 1 << 16, 16 << 20


async def received(
    pieces: Sequence[bytes], sizes: Sequence[int], pause: float = 0.0
) -> list[bytes]:
    """What a connection reads of these sizes from a server that sends these pieces, and ends."""

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    closed: asyncio.Future[None] = loop.create_future()
    host, port = server.sockets[0].getsockname()
    transport, _ = await loop.create_connection(
        lambda: Frames(closed, reader, loop=loop), host, port
    )
    found = []
    try:
        for size in sizes:
            found.append(bytes(await reader.readexactly(size)))
            await asyncio.sleep(pause)
    finally:
        transport.close()
        await closed
        server.close()
        await server.wait_closed()
    return found


@settings(max_examples=50, deadline=None)
@given(
    frames=st.lists(st.one_of(st.integers(0, 9), st.integers(0, 5 * SMALL)), max_size=12),
    cut=st.integers(1, 3 * SMALL),
)
def test_every_byte_in_order(frames: list[int], cut: int) -> None:
    data = os.urandom(sum(frames))
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    found = asyncio.run(received(pieces, frames))
    assert b"".join(found) == data
    assert [len(one) for one in found] == frames


def test_a_reader_that_is_slow_stops_the_sender_and_gets_everything() -> None:
    data = os.urandom(40 * SMALL)
    found = asyncio.run(received([data], [SMALL] * 40, pause=0.001))
    assert b"".join(found) == data


class Still(asyncio.Transport):
    """Neither sends nor receives."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def test_a_buffer_of_a_very_long_response_is_not_kept() -> None:
    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        frames = Frames(loop.create_future(), reader, loop=loop)
        frames.connection_made(Still())
        sizes = []
        for size in (3 * LARGE, 4, LARGE - 1, 4):
            reading = asyncio.ensure_future(frames.readexactly(size))
            left = size
            while left:
                await asyncio.sleep(0)
                room = frames.get_buffer(-1)[:left]
                room[:] = b"x" * len(room)
                frames.buffer_updated(len(room))
                left -= len(room)
            await reading
            sizes.append(len(frames.get_buffer(-1)))
        return sizes

    after = asyncio.run(run())
    assert after[1] <= LARGE + SMALL
    assert after[3] >= LARGE - SMALL


@pytest.mark.parametrize("had", [0, 3])
def test_an_end_in_between_is_said(had: int) -> None:
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        asyncio.run(received([b"abcd" + b"x" * had], [4, 8]))
    assert caught.value.partial == b"x" * had
    assert caught.value.expected == 8


def test_a_connection_that_fails_says_why() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        closed: asyncio.Future[None] = loop.create_future()
        reader = asyncio.StreamReader(loop=loop)
        frames = Frames(closed, reader, loop=loop)
        reading = asyncio.ensure_future(reader.readexactly(4))
        await asyncio.sleep(0)
        frames.connection_lost(ConnectionResetError("gone"))
        await reading

    with pytest.raises(ConnectionResetError, match="gone"):
        asyncio.run(run())


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="-3 bytes"):
        asyncio.run(received([], [-3]))


def test_connections_of_aiokafka_receive_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conn, "AIOKafkaProtocol", conn.AIOKafkaProtocol)
    receive_directly()
    assert conn.AIOKafkaProtocol is Frames


def test_what_says_that_it_is_long_is_believed_as_it_comes() -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        frames = Frames(loop.create_future(), asyncio.StreamReader(loop=loop), loop=loop)
        reading = asyncio.ensure_future(frames.readexactly(0x48545450))  # "HTTP"
        await asyncio.sleep(0)
        size = len(frames.get_buffer(-1))
        reading.cancel()
        return size

    assert asyncio.run(run()) <= LARGE + SMALL


def test_reading_and_writing_are_paused_each_by_itself() -> None:
    async def run() -> tuple[bytes, bytes]:
        go = asyncio.Event()
        faults: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))

        async def serve(from_us: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
            to_us.write(b"abcd")
            await go.wait()
            while await from_us.read(1 << 20):
                pass
            to_us.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, closed = asyncio.StreamReader(loop=loop), loop.create_future()
        host, port = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(
            lambda: Frames(closed, reader, loop=loop), host, port
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        writer.write(b"x" * LARGE)  # more than the system takes: writing is paused
        draining = asyncio.ensure_future(writer.drain())
        first = await reader.readexactly(4)
        waiting = asyncio.ensure_future(reader.readexactly(4))  # while it is paused
        await asyncio.sleep(0.05)
        assert not draining.done()
        go.set()
        await asyncio.wait_for(draining, 20)
        writer.write_eof()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await waiting
        transport.close()
        await closed
        server.close()
        assert faults == []
        return first, caught.value.partial

    assert asyncio.run(run()) == (b"abcd", b"")


def test_responses_longer_than_what_is_believed_at_once() -> None:
    data = os.urandom(3 * LARGE)
    (found,) = asyncio.run(received([data[:LARGE], data[LARGE:]], [len(data)]))
    assert found == data
