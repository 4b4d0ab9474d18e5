"""HTTP of a worker: probes, metrics and read-only questions; on loopback by default."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from aiohttp import web

from ampelstream.errors import AmpelstreamError, ConfigError
from ampelstream.runtime.service.connections import Connections
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import CONTENT_TYPE, Metrics

__all__ = ["Answer", "HostError", "PortError", "Queries", "Server"]

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SAID = {"": True, "1": True, "true": True, "0": False, "false": False}


_KEEPALIVE_SECONDS = 15.0
_LINGER_SECONDS = 2.0
_BACKLOG = 1024
"""Connections that wait to be taken; a probe stands behind those before it."""
_WRONG = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})
"""A new start comes to these again, unlike to a name that is not known yet."""


class PortError(ConfigError, OSError):
    """The worker cannot listen at the address of its settings."""


class HostError(AmpelstreamError, OSError):
    """The host at which the worker shall listen is not known (yet)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a question.

    Attributes
    ----------
    status
        HTTP status.
    body
        What msgspec can write as JSON.
    location
        Where to ask instead, with a status of 307: the worker that has the partition.
    """

    status: int
    body: Any
    location: str | None = None


class Queries(Protocol):
    """Answers questions about the state; only reads."""

    async def object(self, object_id: str) -> Answer:
        """What is known of an object."""
        ...

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (fixed interface)
        """Candidates of an event; local: only those that this worker stores."""
        ...


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers=headers,
    )


@web.middleware
async def _refusals_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    # other errors are left to aiohttp, which logs them once and answers 500 without the details
    try:
        return await handler(request)
    except web.HTTPClientError as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return _json(error.status, {"error": error.text or error.reason}, allow)


class Server:
    """Serves ``/live``, ``/ready``, ``/metrics``, and ``/objects/ID``, ``/events/ID/candidates``.

    Parameters
    ----------
    health
        Knows life and readiness.
    metrics
        Is scraped.
    queries
        Answers questions about the state; without it there are none to be asked.
    host
        Address to listen on; nothing here asks who calls, so leave it on loopback or behind a wall.
    port
        0 takes any that is free.
    """

    def __init__(
        self,
        health: Health,
        metrics: Metrics,
        queries: Queries | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._queries = queries
        self._where = (host, port)
        self._listening: asyncio.Server | None = None
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=2.0,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGER_SECONDS,
        )

    async def start(self) -> int:
        """Listen.

        Returns
        -------
        int
            The port.

        Raises
        ------
        PortError
            The address cannot be listened on.
        HostError
            The host has no address.
        """
        host, port = self._where
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                Connections(self._protocol), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            await self._runner.cleanup()
            text = f"cannot listen on {host}, port {port}: {error.strerror or error}. "
            if error.errno in _WRONG:
                advice = "Choose another port (0 takes any), or end the process that has it."
                raise PortError(text + advice) from error
            raise HostError(f"{text}See that the name of --host is known here.") from error
        return int(self._listening.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no longer; questions in hand get two seconds."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _protocol(self) -> Any:
        serve = self._runner.server
        if serve is None:
            raise RuntimeError("a connection came before the server was set up")
        return serve()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_refusals_as_json])
        application.router.add_get("/live", self._live)
        application.router.add_get("/ready", self._ready)
        application.router.add_get("/metrics", self._scrape)
        if self._queries is not None:
            application.router.add_get("/objects/{object}", self._object)
            application.router.add_get("/events/{event}/candidates", self._candidates)
        return application

    async def _live(self, _request: web.Request) -> web.Response:
        reasons = self._health.alive()
        return _json(503 if reasons else 200, {"alive": not reasons, "reasons": reasons})

    async def _ready(self, _request: web.Request) -> web.Response:
        reasons = self._health.ready()
        return _json(503 if reasons else 200, {"ready": not reasons, "reasons": reasons})

    async def _scrape(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _object(self, request: web.Request) -> web.Response:
        return _answer(await self._asked().object(request.match_info["object"]))

    async def _candidates(self, request: web.Request) -> web.Response:
        local = _SAID.get(request.query.get("local", "0").lower())
        if local is None:
            raise web.HTTPBadRequest(text="local is either 1 (true) or 0 (false)")
        return _answer(await self._asked().candidates(request.match_info["event"], local))

    def _asked(self) -> Queries:
        if self._queries is None:
            raise web.HTTPNotFound(text="this worker answers no questions")
        return self._queries


def _answer(answer: Answer) -> web.Response:
    headers = None if answer.location is None else {"Location": answer.location}
    return _json(answer.status, answer.body, headers)
