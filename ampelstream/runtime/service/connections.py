"""Connections to the worker's server that must not keep others from being answered.

aiohttp waits for the head of a request for as long as the connection lasts, and takes any number of
connections. Whoever opens a thousand and says nothing would hold as many files of this process, and
the probes would wait. Here a head that is not whole in time ends its connection, and when there are
too many, the oldest goes: first of those that have not asked anything yet.
"""

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["Connections"]

_END_OF_HEAD = b"\r\n\r\n"


class Connections:
    """Makes the protocol of each connection: the server's own, watched.

    Parameters
    ----------
    protocol
        Makes the server's own.
    head_seconds
        How long the head of the first request may take [s]; later ones are aiohttp's matter
        (``keepalive_timeout``).
    most
        How many connections there may be.
    """

    def __init__(
        self, protocol: Callable[[], Any], *, head_seconds: float = 5.0, most: int = 200
    ) -> None:
        self._protocol = protocol
        self._head_seconds = head_seconds
        self._most = most
        self._silent: dict[_Watched, None] = {}
        """Those that have not asked anything yet, the oldest first."""
        self._asking: dict[_Watched, None] = {}

    def __len__(self) -> int:
        return len(self._silent) + len(self._asking)

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Watched(self._protocol(), self)

    def opened(self, one: "_Watched") -> asyncio.TimerHandle:
        """Take in a connection; gives what ends it if it says nothing."""
        if len(self) >= self._most:
            next(iter(self._silent or self._asking)).abort()
        self._silent[one] = None
        return asyncio.get_running_loop().call_later(self._head_seconds, one.abort)

    def asked(self, one: "_Watched") -> None:
        """Note that it has asked."""
        if self._silent.pop(one, one) is None:
            self._asking[one] = None

    def closed(self, one: "_Watched") -> None:
        """Forget it."""
        self._silent.pop(one, None)
        self._asking.pop(one, None)


class _Watched(asyncio.Protocol):
    """Passes everything on, and looks whether a head of a request is whole."""

    def __init__(self, inner: Any, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._end = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._timer = self._connections.opened(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None:
            if _END_OF_HEAD in self._end + data:
                self._timer.cancel()
                self._timer = None
                self._connections.asked(self)
            self._end = (self._end + data)[-len(_END_OF_HEAD) + 1 :]
        self._inner.data_received(data)

    def eof_received(self) -> Any:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.closed(self)
        self._inner.connection_lost(exc)

    def abort(self) -> None:
        """End the connection at once."""
        self._connections.closed(self)
        self._transport.abort()
