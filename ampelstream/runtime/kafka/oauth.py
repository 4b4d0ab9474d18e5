"""Tokens by OAuth 2 client credentials, for clusters that ask for OAUTHBEARER (GCN)."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from ssl import SSLContext
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import stamina
from aiokafka.abc import AbstractTokenProvider

from ampelstream.errors import SourceError

__all__ = ["ClientCredentials", "TokenError"]

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 10.0
_SHORT_LIFE_SECONDS = 300.0
"""Lifetime of a token whose answer does not name it."""
_MARGIN_SECONDS = 60.0
_MARGIN_FRACTION = 0.2
_REFUSED = frozenset({400, 401, 403})
_LONGEST_WAIT_SECONDS = 10.0
_CODES = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""Codes that the standard knows (RFC 6749, 5.2); nothing else of an answer is repeated."""


class TokenError(SourceError):
    """No token was given; as an OSError it makes aiokafka try the connection again."""


class _Passing(Exception):  # noqa: N818  (never leaves this module)
    """A failure that may pass: worth another try."""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Gets tokens, keeps each until shortly before it expires.

    aiokafka asks for one whenever it opens a connection. One provider serves one client.

    Parameters
    ----------
    url
        The token endpoint.
    client_id, client_secret
        Who asks; sent as HTTP basic authentication.
    scope
        What is asked for; None leaves it to the server.
    ssl
        For the token endpoint; None takes the system's authorities.
    clock
        Gives a time [s] that never goes back.
    attempts
        Tries before it gives up.
    backoff_seconds
        Wait before the second try [s], and up to as much again by chance; it doubles before each
        further one.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        scope: str | None = None,
        *,
        ssl: SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
        attempts: int = 4,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._url = url
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._headers = {"Accept": "application/json", "Authorization": f"Basic {basic}"}
        self._form = {"grant_type": "client_credentials"}
        if scope is not None:
            self._form["scope"] = scope
        self._ssl: SSLContext | bool = True if ssl is None else ssl
        self._clock = clock
        self._attempts = attempts
        self._backoff = backoff_seconds
        # a provider may serve clients of two event loops (Faust's consumer has its own)
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )
        self._token = ""
        self._refresh_at = self._expires_at = float("-inf")

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r})"

    async def token(self) -> str:
        """Give a token that is valid now.

        Raises
        ------
        TokenError
            The server refuses, or did not answer well in any of the attempts.
        """
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            if self._clock() >= self._refresh_at:
                try:
                    await self._refresh()
                except TokenError as error:
                    if self._clock() >= self._expires_at:
                        raise
                    _LOG.warning("%s; the present token still holds", error)
            return self._token

    async def _refresh(self) -> None:
        made = 0
        try:
            async for attempt in stamina.retry_context(
                on=_Passing,
                attempts=self._attempts,
                timeout=None,  # the attempts alone limit it, and each has its own timeout
                wait_initial=self._backoff,
                wait_jitter=self._backoff,
                wait_max=_LONGEST_WAIT_SECONDS,
            ):
                made = attempt.num
                with attempt:
                    asked = self._clock()
                    token, life = await self._ask()
                    self._token = token
                    self._expires_at = asked + life
                    margin = min(_MARGIN_SECONDS, _MARGIN_FRACTION * life)
                    self._refresh_at = self._expires_at - margin
        except _Passing as failure:
            raise TokenError(
                f"no token from {self._url} after {made} attempts: {failure}; "
                "check token_url and whether the server is up"
            ) from None

    async def _ask(self) -> tuple[str, float]:
        """One request: the token and its lifetime [s]."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            # a session for each request: they are an hour apart, and nobody has to close it
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    self._url,
                    data=self._form,
                    ssl=self._ssl,
                    allow_redirects=False,
                    headers=self._headers,
                ) as answer,
            ):
                status, content = answer.status, await _json(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # its text may quote the request; its kind says enough
            raise _Passing(f"{type(error).__name__}") from None
        if status in _REFUSED:
            code = content.get("error")
            shown = f" ({code})" if code in _CODES else ""
            raise TokenError(
                f"{self._url} refuses the client credentials: status {status}{shown}; "
                "check client_id, client_secret and scope"
            )
        token, life = content.get("access_token"), content.get("expires_in", _SHORT_LIFE_SECONDS)
        if status != 200 or not isinstance(token, str) or not token:  # noqa: PLR2004  (OK)
            raise _Passing(f"status {status}, no access_token")
        try:
            return token, max(float(life), 0.0)
        except (TypeError, ValueError):
            return token, _SHORT_LIFE_SECONDS


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Content of an answer; empty where it is no JSON object."""
    try:
        content = await answer.json(content_type=None)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
