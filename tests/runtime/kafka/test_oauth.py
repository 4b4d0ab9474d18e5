"""Tokens by client credentials, from a small server of our own."""

import asyncio
import base64
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import stamina
from aiohttp import web
from aiohttp.test_utils import TestServer
from stamina.instrumentation import RetryDetails

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka.oauth import ClientCredentials

SECRET = "s3cret-of-mine"  # noqa: S105  (made up; searched for in all that is shown)
Answer = tuple[int, Any]
pytestmark = pytest.mark.usefixtures("retries")


class Authority:
    """A token endpoint that gives prepared answers, and keeps what it was asked."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.forms: list[dict[str, str]] = []
        self.who: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        coded = request.headers["Authorization"].removeprefix("Basic ")
        self.who.append(base64.b64decode(coded).decode())
        status, content = self.answers.pop(0)
        if isinstance(content, str):
            return web.Response(status=status, text=content)
        return web.json_response(content, status=status)


def token(number: int, life: float = 1000.0) -> Answer:
    return 200, {"access_token": f"token-{number}", "expires_in": life, "token_type": "Bearer"}


class Bench:
    """A provider with a clock that is moved by hand."""

    def __init__(self, url: str, **more: Any) -> None:
        self.now = 0.0
        self.provider = ClientCredentials(url, "me", SECRET, "gcn", clock=lambda: self.now, **more)


def with_authority(
    answers: list[Answer], test: Callable[[Bench, Authority], Awaitable[None]], **more: Any
) -> None:
    async def run() -> None:
        authority = Authority(answers)
        app = web.Application()
        app.router.add_post("/token", authority.handle)
        async with TestServer(app) as server:
            await test(Bench(str(server.make_url("/token")), **more), authority)

    asyncio.run(run())


def test_a_token_is_kept_and_refreshed_before_it_expires() -> None:
    async def test(bench: Bench, authority: Authority) -> None:
        assert await bench.provider.token() == "token-1"
        bench.now = 939.0
        assert await bench.provider.token() == "token-1"
        bench.now = 940.0
        both = await asyncio.gather(bench.provider.token(), bench.provider.token())
        assert list(both) == ["token-2", "token-2"]
        assert authority.who == [f"me:{SECRET}"] * 2
        assert authority.forms[0] == {"grant_type": "client_credentials", "scope": "gcn"}

    with_authority([token(1), token(2)], test)


def test_a_short_life_is_not_all_margin() -> None:
    async def test(bench: Bench, _: Authority) -> None:
        assert await bench.provider.token() == "token-1"
        bench.now = 7.9
        assert await bench.provider.token() == "token-1"
        bench.now = 8.0
        assert await bench.provider.token() == "token-2"

    with_authority([token(1, 10.0), token(2, 10.0)], test)


PASSING: list[Answer] = [(503, "busy"), (200, "no json"), (200, {"access_token": ""})]


def test_failures_that_may_pass_are_tried_again_and_nothing_is_logged(
    retries: list[RetryDetails], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench, _: Authority) -> None:
        assert await bench.provider.token() == "token-1"

    with_authority([*PASSING, token(1)], test)
    assert len(retries) == 3
    assert [one for one in caplog.records if one.levelno > logging.INFO] == []


def test_the_waits_grow(retries: list[RetryDetails]) -> None:
    async def test(bench: Bench, _: Authority) -> None:
        assert await bench.provider.token() == "token-1"

    with stamina.set_testing(testing=False):
        with_authority([*PASSING, token(1)], test, backoff_seconds=0.001)
    waits = [one.wait_for for one in retries]
    least = [0.001, 0.002, 0.004]
    assert all(low <= wait <= low + 0.001 for low, wait in zip(least, waits, strict=True))


def test_no_answer_is_an_error_that_keeps_the_secret() -> None:
    async def test(bench: Bench, _: Authority) -> None:
        with pytest.raises(SourceError, match="after 4 attempts: status 500") as caught:
            await bench.provider.token()
        assert isinstance(caught.value, OSError)  # so that aiokafka connects again
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert await bench.provider.token() == "token-1"

    with_authority([(500, SECRET)] * 4 + [token(1)], test)


def test_a_refusal_is_final_and_says_which(retries: list[RetryDetails]) -> None:
    async def test(bench: Bench, authority: Authority) -> None:
        with pytest.raises(SourceError, match=r"status 401 \(invalid_client\)") as caught:
            await bench.provider.token()
        assert retries == []
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        authority.answers.append((403, {"error": f"bad secret {SECRET}"}))
        with pytest.raises(SourceError, match="status 403;") as caught:
            await bench.provider.token()
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    with_authority([(401, {"error": "invalid_client", "error_description": SECRET})], test)


def test_a_token_that_still_holds_bridges_a_failure() -> None:
    async def test(bench: Bench, _: Authority) -> None:
        assert await bench.provider.token() == "token-1"
        bench.now = 950.0
        assert await bench.provider.token() == "token-1"
        bench.now = 1000.0
        with pytest.raises(SourceError):
            await bench.provider.token()

    with_authority([token(1)] + [(500, "")] * 8, test)


def test_a_server_that_is_not_there() -> None:
    async def run() -> None:
        bench = Bench("http://127.0.0.1:1/token")
        with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/token after 4 attempts"):
            await bench.provider.token()

    asyncio.run(run())
