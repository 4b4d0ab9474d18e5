import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.service.server import Answer, PortError, Queries, Server


class Questions:
    """Tells what it was asked."""

    async def object(self, object_id: str) -> Answer:
        if object_id == "elsewhere":
            return Answer(307, {"worker": 2}, "http://127.0.0.1:9/objects/elsewhere")
        if object_id == "broken":
            raise RuntimeError("a detail that nobody outside should see")
        return Answer(200, {"id": object_id, "mag": float("nan")})

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (the protocol's)
        return Answer(200, {"event": event_id, "local": local})


Got = tuple[int, Any, dict[str, str]]
Get = Callable[[str], Awaitable[Got]]


def serve(
    ask: Callable[[Get], Awaitable[None]],
    queries: Queries | None = None,
    health: Health | None = None,
) -> None:
    """Run a server, and ask it."""

    async def main() -> None:
        metrics = Metrics(Accounting(), CollectorRegistry())
        server = Server(Health() if health is None else health, metrics, queries)
        port = await server.start()
        try:
            async with aiohttp.ClientSession() as session:

                async def get(path: str) -> Got:
                    url = f"http://127.0.0.1:{port}{path}"
                    async with session.get(url, allow_redirects=False) as response:
                        return response.status, await response.text(), dict(response.headers)

                await ask(get)
        finally:
            await server.stop()

    asyncio.run(main())


def test_live_and_ready_tell_their_reasons() -> None:
    now = [0.0]
    health = Health(lambda: now[0], stuck_after=60)

    async def ask(get: Get) -> None:
        status, body, headers = await get("/live")
        assert (status, json.loads(body)) == (200, {"alive": True, "reasons": []})
        assert headers["Content-Type"].startswith("application/json")
        status, body, _ = await get("/ready")
        assert status == 503
        assert json.loads(body) == {"ready": False, "reasons": ["no step has been set up yet"]}
        health.expect("objects")
        health.set_ready("objects", ready=True)
        assert (await get("/ready"))[0] == 200
        now[0] = 61.0
        status, body, _ = await get("/live")
        assert status == 503
        assert json.loads(body)["reasons"] == ["the event loop was silent for 61 s (limit 60 s)"]

    serve(ask, health=health)


def test_metrics_are_text() -> None:
    async def ask(get: Get) -> None:
        status, body, headers = await get("/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain; version=")
        assert "ampelstream_passed_total 0.0" in body

    serve(ask)


def test_questions() -> None:
    async def ask(get: Get) -> None:
        status, body, _ = await get("/objects/ZTF20aaa")
        assert (status, json.loads(body)) == (200, {"id": "ZTF20aaa", "mag": None})
        _, body, _ = await get("/events/GRB%2024%2F5/candidates?local=1")
        assert json.loads(body) == {"event": "GRB 24/5", "local": True}
        _, body, _ = await get("/events/S1/candidates")
        assert json.loads(body) == {"event": "S1", "local": False}
        status, _, headers = await get("/objects/elsewhere")
        assert (status, headers["Location"]) == (307, "http://127.0.0.1:9/objects/elsewhere")

    serve(ask, Questions())


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 404), ("/objects", 404), ("/tables/state", 404), ("/events/S1/candidates?local=x", 400)],
)
def test_refusals_are_json(path: str, status: int) -> None:
    async def ask(get: Get) -> None:
        got, body, _ = await get(path)
        assert got == status
        assert json.loads(body)["error"]

    serve(ask, Questions())


def test_without_queries_there_is_nothing_to_ask() -> None:
    async def ask(get: Get) -> None:
        assert (await get("/objects/ZTF20aaa"))[0] == 404

    serve(ask)


def test_an_error_is_logged_once_and_told_without_details(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(get: Get) -> None:
        status, body, _ = await get("/objects/broken")
        assert status == 500
        assert "detail" not in body
        assert len(body) < 200
        assert (await get("/objects/fine"))[0] == 200

    with caplog.at_level(logging.INFO):
        serve(ask, Questions())
    (record,) = [r for r in caplog.records if r.name.startswith("aiohttp")]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


def test_a_taken_port_is_an_error_with_advice() -> None:
    async def main(port: int) -> None:
        await Server(Health(), Metrics(Accounting(), CollectorRegistry()), port=port).start()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortError, match=r"cannot listen on 127\.0\.0\.1, port .* another port"):
            asyncio.run(main(taken.getsockname()[1]))
