"""Sky maps that a notice only names by their address, fetched for the ingest step.

Only from hosts that are known to hold such maps, encrypted, within a time and up to a size. Who
handles notices one by one has a map fetched when its notice comes (`MapFetcher.fetch`); on Kafka
they are fetched before the batch, beside the event loop and in no thread of a step (`MapsAhead`).
What fails is said in the notes of the event, for which the error circle of the notice then stands.
"""

import asyncio
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ampelstream.codecs import notices
from ampelstream.core.boundary import Failure, attempt
from ampelstream.model.localisation import FetchedMap
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.settings import MAP_HOSTS
from ampelstream.topology import Topology

__all__ = ["MapFetcher", "MapsAhead"]

_LOG = logging.getLogger(__name__)

_SECONDS = 20.0
_BYTES = 64 << 20
"""Longest file [byte]: the flat maps of GBM and IceCube have some megabytes, gzipped."""
_STEP = 1 << 18
_BATCH_SECONDS = 30.0
"""For all maps of one batch: half of the time after which a worker counts as stuck."""
_NAMES = (b"healpix_url", b"skymap_fits")
_BATCH_BYTES = 256 << 20
"""Of all maps of one batch, in memory."""


class _SameHosts(urllib.request.HTTPRedirectHandler):
    """Follows only to where one may go anyway."""

    def __init__(self, checked: Callable[[str], str]) -> None:
        self._checked = checked

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        return super().redirect_request(req, fp, code, msg, headers, self._checked(newurl))


class MapFetcher:
    """Fetches sky maps.

    Parameters
    ----------
    hosts
        Those that are asked; no other.
    seconds
        Time for one map [s].
    most
        Longest file [byte].
    encrypted
        Whether http:// is taken as https://; off for tests on this machine.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        hosts: Collection[str] = MAP_HOSTS,
        *,
        seconds: float = _SECONDS,
        most: int = _BYTES,
        encrypted: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hosts = frozenset(hosts)
        self._seconds, self._most, self._clock = seconds, most, clock
        self._encrypted = encrypted
        self._opener = urllib.request.build_opener(_SameHosts(self._checked))

    def _checked(self, url: str) -> str:
        """Address as it is asked for; an error where it may not be."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname not in self._hosts:
            raise urllib.error.URLError(
                f"the host {parts.hostname!r} is none that maps are fetched from "
                f"({', '.join(sorted(self._hosts))}); --map-hosts names others"
            )
        return urlunsplit(("https", *parts[1:])) if self._encrypted else url

    def fetch(self, url: str, deadline: float | None = None) -> FetchedMap:
        """Fetch a map, or say why there is none.

        Nothing is remembered: missions put a better map under the same address, and one that is not
        there yet may be in a minute.

        Parameters
        ----------
        url
            Its address.
        deadline
            When to give up at the latest, by the clock [s].
        """
        until = self._clock() + self._seconds
        until = until if deadline is None else min(until, deadline)
        try:
            return FetchedMap(self._read(self._checked(url), until), "")
        except (OSError, http.client.HTTPException, ValueError) as error:
            text = f"the sky map at {url} was not fetched: {error}"
            incident(_LOG, logging.WARNING, "map_not_fetched", text, url=url)
            return FetchedMap(b"", f"{type(error).__name__}: {error}")

    def _read(self, url: str, until: float) -> bytes:
        left = until - self._clock()
        if left <= 0:
            raise TimeoutError("there was no time left for it")
        request = urllib.request.Request(url, headers={"User-Agent": "ampelstream"})  # noqa: S310  (checked)
        parts: list[bytes] = []
        size = 0
        with self._opener.open(request, timeout=left) as answer:
            while part := answer.read1(_STEP):
                parts.append(part)
                size += len(part)
                if size > self._most:
                    raise ValueError(f"it is longer than {self._most >> 20} MiB")
                if self._clock() > until:
                    raise TimeoutError(f"it took longer than {self._seconds:g} s")
        return b"".join(parts)


_TOO_MANY = FetchedMap(b"", "there were too many maps to fetch at once")


class MapsAhead:
    """Fetches the maps of the notices of a batch before it is worked on.

    Parameters
    ----------
    topology
        Only events that it follows are looked up.
    fetcher
        Fetches.
    """

    def __init__(self, topology: Topology, fetcher: MapFetcher) -> None:
        self._topology, self._fetcher = topology, fetcher
        self._held: dict[str, FetchedMap] = {}

    async def prepare(self, records: Sequence[Any]) -> None:
        """Fetch what the notices in these Kafka records name, one after the other."""
        self._held.clear()
        deadline, room = time.monotonic() + _BATCH_SECONDS, _BATCH_BYTES
        for url in dict.fromkeys(filter(None, (self._wanted(one.value) for one in records))):
            if room > 0:
                found = await asyncio.to_thread(self._fetcher.fetch, url, deadline)
                self._held[url] = found
                room -= len(found.data)

    def at(self, url: str) -> FetchedMap:
        """What was fetched of an address for this batch."""
        return self._held.get(url, _TOO_MANY)

    def _wanted(self, value: bytes | None) -> str | None:
        """Address in a notice of an event that is followed; most name none."""
        if not value or not any(name in value for name in _NAMES):
            return None
        notice = attempt(notices.decode, value)
        if isinstance(notice, Failure):
            return None  # whoever handles the record says so
        revision = notice.revision
        if notice.skymap or revision.is_retraction or not self._topology.events.accepts(revision):
            return None
        return revision.skymap_url
