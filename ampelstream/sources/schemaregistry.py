"""Writer schemas from a Confluent schema registry; kept on disk, so that a restart needs none."""

import asyncio
import base64
import json
import logging
import math
import os
import re
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import fastavro
import stamina

from ampelstream.codecs.avro.packets import GARBAGE
from ampelstream.errors import ConfigError

__all__ = ["SchemaRegistry", "parsed_schema"]

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 10.0
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_SUCH = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Said of a number that cannot be one of a schema: a damaged record asks for such."""
_MISSES_KEPT = 1000
"""A flood of garbage names a new identifier in every record; it must not fill the memory."""
_LONGEST_PAUSE_SECONDS = 600.0
"""For so long at most a registry is not asked again for a schema that it did not have."""


def parsed_schema(text: str) -> Mapping[str, Any] | None:
    """Schema of a record, parsed; None where the text is none."""
    try:
        schema = fastavro.parse_schema(json.loads(text))
    except GARBAGE:
        return None
    if isinstance(schema, Mapping) and schema.get("type") == "record":
        return schema
    return None


class _SchemaCache:
    """Schemas of one registry in a directory, one file each.

    A registry's schemas never change, so a file is never out of date. Any number of processes may
    share the directory.

    Parameters
    ----------
    directory
        Holds a directory for each registry; made when first needed.
    url
        Of the registry: two registries may use one identifier for different schemas.
    """

    def __init__(self, directory: Path, url: str) -> None:
        parts = urlsplit(url)
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", parts.netloc + parts.path.rstrip("/"))
        self._directory = directory / name

    def path(self, schema_id: int) -> Path:
        """File of a schema."""
        return self._directory / f"{schema_id}.avsc"

    def read(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema, parsed; None where it is not there or its file is corrupt."""
        path = self.path(schema_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            _LOG.warning("%s cannot be read and is fetched again: %s", path, error)
            return None
        schema = parsed_schema(text)
        if schema is None:
            _LOG.warning("%s is corrupt and is fetched again", path)
        return schema

    def write(self, schema_id: int, text: str) -> None:
        """Keep a schema; where the directory cannot be written, say so and go on without."""
        path = self.path(schema_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{schema_id}-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            _LOG.warning("%s cannot be written, a restart will fetch it again: %s", path, error)


@dataclass(frozen=True, slots=True)
class _Miss:
    """A schema that could not be had: when to ask again, and after how long that is [s].

    ``refused`` where the registry said that it does not have it; ``fault`` is what it said.
    """

    ask_at: float = -math.inf
    pause: float = 0.0
    refused: bool = False
    fault: str = ""


class _Passing(Exception):  # noqa: N818  (never leaves this module)
    """A failure that may pass: worth another try."""


_MAY_PASS = (aiohttp.ClientError, TimeoutError, OSError, _Passing)


class _Refused(Exception):  # noqa: N818  (never leaves this module)
    """An answer that another try would not change."""


class _Lacking(_Refused):
    """The answer that it does not have the schema."""


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, trust_env=True)


class SchemaRegistry:
    """Schemas by identifier: from memory, from disk, and from the registry when asked to fetch.

    Decoding asks ``known``, which never waits. Whoever gets ``UnknownSchema`` for a record awaits
    ``fetch`` and decodes again.

    Parameters
    ----------
    url
        Of the registry.
    cache_dir
        Directory for schemas that were fetched.
    user, password
        For HTTP basic authentication, where the registry asks for it.
    session
        Makes the HTTP session of one fetch.
    clock
        Monotonic time [s].
    retry_seconds
        How long it stands that the registry does not answer, and at first, that it does not have a
        schema [s]; the latter doubles each time, up to ten minutes.
    attempts
        How often one fetch tries a registry that does not answer.
    first_delay
        Wait before the second attempt [s], and up to as much again by chance; it doubles each time.

    Raises
    ------
    ConfigError
        The URL is not one of HTTP, or holds a password.
    """

    def __init__(
        self,
        url: str,
        cache_dir: Path,
        *,
        user: str | None = None,
        password: str | None = None,
        session: Callable[[], aiohttp.ClientSession] = _session,
        clock: Callable[[], float] = time.monotonic,
        retry_seconds: float = 60.0,
        attempts: int = 4,
        first_delay: float = 0.5,
    ) -> None:
        _check(url)
        self._url = url.rstrip("/")
        self._headers = {} if user is None else _basic(user, password or "")
        self._session = session
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._attempts = attempts
        self._first_delay = first_delay
        self._cache = _SchemaCache(cache_dir, self._url)
        self._parsed: dict[int, Mapping[str, Any]] = {}
        self._misses: OrderedDict[int, _Miss] = OrderedDict()
        self._down_until = -math.inf
        self._fetching = asyncio.Lock()

    def __repr__(self) -> str:
        return f"SchemaRegistry({self._url})"

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema that is in memory or on disk, the same object each time; None where it is not."""
        schema = self._parsed.get(schema_id)
        if schema is None and schema_id not in self._misses:
            schema = self._from_disk(schema_id)
            if schema is None:
                self._miss(schema_id, _Miss())  # the disk need not be asked for each record
        return schema

    @property
    def url(self) -> str:
        """Of the registry."""
        return self._url

    def is_due(self, schema_id: int) -> bool:
        """Whether `fetch` would ask for a schema now: not where it could not be had lately."""
        return self._clock() >= max(self._misses.get(schema_id, _Miss()).ask_at, self._down_until)

    def fault(self, schema_id: int) -> str:
        """What prevented a schema from being had when it was asked for last; else nothing."""
        return self._misses.get(schema_id, _Miss()).fault

    def refused(self, schema_id: int) -> bool:
        """Whether the registry, when it was asked last, said that it does not have the schema."""
        miss = self._misses.get(schema_id)
        return miss is not None and miss.refused

    async def fetch(self, schema_id: int) -> bool:
        """Get a schema from the registry, unless it is known or could not be had lately.

        Returns
        -------
        bool
            Whether it is known now. What prevented it is logged, once for each time it was tried.
        """
        async with self._fetching:  # who waits for a schema that another asked for finds it known
            if self.known(schema_id) is not None:
                return True
            miss = self._misses.get(schema_id, _Miss())
            if self._clock() < miss.ask_at:
                return False
            if self._from_disk(schema_id) is not None:  # another process fetched it
                return True
            if self._clock() < self._down_until:
                return False  # else each new identifier would wait for all attempts
            try:
                fault, refused = await self._fetch(schema_id), False
            except _Lacking as error:
                fault, refused = str(error), True
            if not fault:
                return True
            pause = self._retry_seconds
            if self._clock() >= self._down_until:  # it answered, and does not have it
                pause = min(max(pause, 2 * miss.pause), _LONGEST_PAUSE_SECONDS)
            _LOG.warning(
                "schema %d cannot be had from %s: %s; asked again in %.0f s",
                *(schema_id, self._url, fault, pause),
            )
            self._miss(schema_id, _Miss(self._clock() + pause, pause, refused, fault))
            return False

    def _from_disk(self, schema_id: int) -> Mapping[str, Any] | None:
        schema = self._cache.read(schema_id)
        if schema is not None:
            self._keep(schema_id, schema)
        return schema

    def _keep(self, schema_id: int, schema: Mapping[str, Any]) -> None:
        self._parsed[schema_id] = schema
        self._misses.pop(schema_id, None)

    def _miss(self, schema_id: int, miss: _Miss) -> None:
        self._misses[schema_id] = miss
        if len(self._misses) > _MISSES_KEPT:
            self._misses.popitem(last=False)

    async def _fetch(self, schema_id: int) -> str:
        """Fetch, keep in memory and on disk; says what is wrong, nothing where all is well.

        Raises
        ------
        _Lacking
            The registry does not have it.
        """
        text, made = "", 0
        try:
            async for attempt in stamina.retry_context(
                on=_MAY_PASS,
                attempts=self._attempts,
                timeout=None,  # the attempts alone limit it, and each has its own timeout
                wait_initial=self._first_delay,
                wait_jitter=self._first_delay,
                wait_max=_LONGEST_WAIT_SECONDS,
            ):
                made = attempt.num
                with attempt:
                    text = await self._get(schema_id)
        except _Lacking:
            raise
        except _Refused as error:
            return str(error)
        except _MAY_PASS as error:
            self._down_until = self._clock() + self._retry_seconds
            return f"{type(error).__name__.lstrip('_')}: {error} ({made} attempts)"
        schema = parsed_schema(text)
        if schema is None:
            raise _Lacking("what it gives is no Avro schema of a record")
        self._keep(schema_id, schema)
        self._cache.write(schema_id, text)
        return ""

    async def _get(self, schema_id: int) -> str:
        """Text of a schema."""
        url = f"{self._url}/schemas/ids/{schema_id}"
        # headers of the request, which aiohttp does not show to a host that it is redirected to
        async with self._session() as session, session.get(url, headers=self._headers) as response:
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in _BUSY:
                raise _Passing(f"HTTP status {response.status}")
            if response.status == HTTPStatus.NOT_FOUND:
                raise _Lacking("it does not have it (HTTP status 404)")
            if response.status in _NO_SUCH:
                raise _Lacking(f"no schema has such a number (HTTP status {response.status})")
            if response.status != HTTPStatus.OK:
                raise _Refused(f"HTTP status {response.status}")
            body = await response.read()
        try:
            text = json.loads(body)["schema"]
        except (ValueError, LookupError, TypeError):
            text = None
        if not isinstance(text, str):
            raise _Refused("its answer is none of a schema registry")
        return text


def _basic(user: str, password: str) -> dict[str, str]:
    """Header of HTTP basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _check(url: str) -> None:
    """Refuse what is no URL of a registry; the URL is not repeated where it holds a password."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname
    except ValueError as error:
        raise ConfigError(f"the URL of the schema registry is none: {error}") from error
    if parts.password is not None or parts.username is not None:
        raise ConfigError(
            "the URL of the schema registry holds a user or password: give them separately"
        )
    if not whole:
        raise ConfigError(f"the URL of the schema registry is {url!r}: it begins with https://")
