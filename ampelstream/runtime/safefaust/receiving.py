"""Responses of brokers go from the socket to where they are read, copied once.

aiokafka reads through asyncio's stream: each piece of up to 256 KiB becomes bytes, is added to a
buffer that stops the transport at 128 KiB, and the whole response is copied out of it
(``aiokafka/conn.py:209-225``, ``:509-531``; ``asyncio/streams.py:480-520``, ``:713-760``). For a
response of 8 MiB that is some sixty turns of the loop and half of what it costs to fetch it. Here a
connection has one buffer, which the system fills; a response is handed on as a view of it.
"""

import asyncio
from typing import Any

from aiokafka import conn

__all__ = ["Frames", "receive_directly"]

_SMALL = 1 << 16
"""Up to here what is read is handed on as bytes of its own [byte]."""
_KEPT = 16 << 20
"""A buffer that became larger than this is not kept [byte]."""


class Frames(conn.AIOKafkaProtocol, asyncio.BufferedProtocol):  # type: ignore[misc]  # aiokafka ships no types
    """What a connection receives.

    Parameters
    ----------
    closed
        Is done when the connection is lost.
    reader
        What the connection reads from: its ``readexactly`` becomes ours.
    loop
        Of the connection.
    """

    def __init__(
        self, closed: "asyncio.Future[None]", reader: Any, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(closed, reader, loop=loop)
        reader.readexactly = self.readexactly
        # `_loop`, `_paused` and others are names of asyncio's own; its `_paused` is of writing
        self._buffer = bytearray(_SMALL)
        self._begin = self._end = 0
        self._wanted = 0
        self._news = asyncio.Event()
        self._wire: Any = None
        self._ended = False
        self._failure: Exception | None = None

    def connection_made(self, transport: Any) -> None:
        """Note the transport."""
        super().connection_made(transport)
        self._wire = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (asyncio's signature)
        """Give the room behind what was received; there always is some, or reading is paused."""
        return memoryview(self._buffer)[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of what came."""
        self._end += nbytes
        if self._is_full:
            self._wire.pause_reading()
        if self._is_full or self._end - self._begin >= self._wanted:
            self._news.set()

    @property
    def _is_full(self) -> bool:
        """Whether there is no room: then reading is paused, until there is."""
        return self._end == len(self._buffer)

    def eof_received(self) -> Any:
        """Nothing more comes."""
        self._ended = True
        self._news.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes, or it failed."""
        self._ended, self._failure = True, exc
        self._news.set()
        super().connection_lost(exc)

    async def readexactly(self, n: int) -> "bytes | memoryview":
        """Give the next bytes; those of a long response only until the next call.

        Raises
        ------
        asyncio.IncompleteReadError
            The connection ended before.
        Exception
            What the connection failed with.
        """
        if n < 0:
            raise ValueError(f"a response of {n} bytes")
        while self._end - self._begin < n:
            self._make_room(n)
            if self._failure is not None:
                raise self._failure
            if self._ended:
                had = bytes(self._buffer[self._begin : self._end])
                self._begin = self._end
                raise asyncio.IncompleteReadError(had, n)
            self._wanted = n
            self._news.clear()
            await self._news.wait()
        begin, self._begin = self._begin, self._begin + n
        found = memoryview(self._buffer)[begin : self._begin]
        return bytes(found) if n <= _SMALL else found

    def _make_room(self, size: int) -> None:
        """Let the buffer hold more than there is from where reading is, and receive."""
        was_full = self._is_full
        rest = bytes(self._buffer[self._begin : self._end])  # less than the size
        # what is no broker may say any size: one that is large is believed as it comes
        room = min(size, max(_KEPT, 2 * len(rest)))
        if room > len(self._buffer) or max(room, _KEPT) + _SMALL < len(self._buffer):
            self._buffer = bytearray(room + _SMALL)  # the next response may come at once
            self._move(rest)
        elif not rest or room > len(self._buffer) - self._begin:
            self._move(rest)
        if was_full:
            self._wire.resume_reading()

    def _move(self, rest: bytes) -> None:
        self._buffer[: len(rest)] = rest
        self._begin, self._end = 0, len(rest)


def receive_directly() -> None:
    """Let all connections that this process opens from now on receive so."""
    conn.AIOKafkaProtocol = Frames
