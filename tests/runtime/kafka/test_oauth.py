"""Tokens by client credentials, from a small server of our own."""

import asyncio
import base64
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka.oauth import ClientCredentials

SECRET = "s3cret-of-mine"  # noqa: S105  (made up; searched for in all that is shown)
Answer = tuple[int, Any]


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
    """A provider with a clock that is moved by hand and waits that take no time."""

    def __init__(self, url: str, scope: str | None = "gcn") -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.provider = ClientCredentials(
            url, "me", SECRET, scope, clock=lambda: self.now, sleep=self.sleep
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def with_authority(
    answers: list[Answer], test: Callable[[Bench, Authority], Awaitable[None]]
) -> None:
    async def run() -> None:
        authority = Authority(answers)
        app = web.Application()
        app.router.add_post("/token", authority.handle)
        async with TestServer(app) as server:
            await test(Bench(str(server.make_url("/token"))), authority)

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


def test_failures_that_may_pass_are_tried_again() -> None:
    async def test(bench: Bench, _: Authority) -> None:
        assert await bench.provider.token() == "token-1"
        assert bench.waits == [0.5, 1.0, 2.0]

    with_authority([(503, "busy"), (200, "no json"), (200, {"access_token": ""}), token(1)], test)


def test_no_answer_is_an_error_that_keeps_the_secret() -> None:
    async def test(bench: Bench, _: Authority) -> None:
        with pytest.raises(SourceError, match="after 4 attempts: status 500") as caught:
            await bench.provider.token()
        assert isinstance(caught.value, OSError)  # so that aiokafka connects again
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        bench.waits.clear()
        assert await bench.provider.token() == "token-1"

    with_authority([(500, SECRET)] * 4 + [token(1)], test)


def test_a_refusal_is_final_and_says_which() -> None:
    async def test(bench: Bench, authority: Authority) -> None:
        with pytest.raises(SourceError, match=r"status 401 \(invalid_client\)") as caught:
            await bench.provider.token()
        assert bench.waits == []
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
