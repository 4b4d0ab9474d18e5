"""Fetching sky maps: from known hosts only, within bounds; else the circle, and a note."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.model.announcement import Announcement
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.localisation import FetchedMap
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.mapfetch import MapFetcher, MapsAhead
from ampelstream.simulate.lvkskymap import Localisation, MapRequest, render
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.skymap import SkyMap
from ampelstream.topology import Topology, build
from ampelstream.topology.spec import TopologySpec
from ampelstream.units import Resources


class _Site(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://169.254.1.1/secret")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        if self.path == "/slow":
            for _ in range(40):
                time.sleep(0.05)
                self.wfile.write(b"x")
        elif self.path == "/long":
            self.wfile.write(b"x" * 100_000)
        else:
            self.wfile.write(b"map")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the library's name)
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    handler = type("Site", (_Site,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.asked  # type: ignore[attr-defined]  # (made above)
    server.shutdown()
    thread.join()
    server.server_close()


def fetcher(**how: Any) -> MapFetcher:
    return MapFetcher({"127.0.0.1"}, encrypted=False, **how)


def test_a_map_is_fetched_each_time_it_is_asked_for(site: tuple[str, list[str]]) -> None:
    url, asked = site
    one = fetcher()
    assert one.fetch(f"{url}/map") == one.fetch(f"{url}/map") == FetchedMap(b"map", "")
    assert asked == ["/map", "/map"]


@pytest.mark.parametrize(
    ("path", "words"),
    [("/none", "404"), ("/slow", "longer than 0.5 s"), ("/long", "MiB"), ("/away", "169.254.1.1")],
)
def test_what_cannot_be_taken_is_said(site: tuple[str, list[str]], path: str, words: str) -> None:
    begin = time.monotonic()
    found = fetcher(seconds=0.5, most=50_000).fetch(site[0] + path)
    assert found.data == b""
    assert words in found.fault
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://localhost/x", "ftp://127.0.0.1/x", "nothing", "http://[/"]
)
def test_nothing_else_is_asked(url: str) -> None:
    found = fetcher().fetch(url)
    assert found.data == b""
    assert found.fault


def test_an_address_is_taken_as_an_encrypted_one(site: tuple[str, list[str]]) -> None:
    url, asked = site
    assert MapFetcher({"127.0.0.1"}, seconds=2).fetch(f"{url}/map").data == b""
    assert asked == []  # it does not speak TLS


def topology(test: bool = False) -> Topology:  # noqa: FBT001, FBT002  (a test's own)
    spec = {
        "name": "bursts",
        "version": "1",
        "events": {"kinds": ["grb"], "test_events": test},
        "channels": {"all": {}},
    }
    resources = Resources(catalogs=CatalogStore(CatalogStore.default_root()))
    return build(TopologySpec.model_validate(spec), resources)


def burst(url: str, **more: Any) -> bytes:
    row = {
        "mission": "Fermi",
        "instrument": "GBM",
        "id": "745121685",
        "trigger_time": "2024-08-24T02:14:40.43",
        "ra": 29.24,
        "dec": -63.62,
        "ra_dec_error": 1.0,
        "healpix_url": url,
    }
    return json.dumps(row | more).encode()


def announced(value: bytes, **how: Any) -> Announcement:
    ingest = Ingest(topology(), Accounting().tally(), lambda: 4e9, **how)
    [output] = ingest.process([SourceRecord(Coordinates("n", 0, 1), "notices", value)])
    assert isinstance(output.value, Announcement)
    return output.value


def test_a_map_that_was_fetched_stands_before_the_circle() -> None:
    where = Localisation(100.0, 10.0, 3.0, 3.0)
    fits = render(MapRequest("GBM", 2460546.6, "2024-08-24T02:30:00Z", where, 5, 40.0, 8.0))
    one = announced(burst("https://a/b"), map_at=lambda _url: FetchedMap(fits, ""))
    skymap = SkyMap.from_bytes(one.skymap)
    assert skymap.credible_level(100.0, 10.0) < 0.1
    circle = announced(burst("https://a/b"))
    assert circle.revision.skymap_digest != one.revision.skymap_digest
    assert circle.revision.content_digest == one.revision.content_digest
    assert SkyMap.from_bytes(circle.skymap).credible_level(29.24, -63.62) < 0.1


@pytest.mark.parametrize(
    ("found", "words"),
    [(FetchedMap(b"", "HTTPError: 404"), "404"), (FetchedMap(b"<html>", ""), "not FITS")],
)
def test_else_the_circle_stands_and_the_notes_say_why(found: FetchedMap, words: str) -> None:
    one = announced(burst("https://a/b"), map_at=lambda _url: found)
    assert SkyMap.from_bytes(one.skymap).credible_level(29.24, -63.62) < 0.1
    assert words in one.revision.notes[-1]
    assert one.revision.skymap_digest == announced(burst("https://a/b")).revision.skymap_digest


def test_on_kafka_the_maps_of_a_batch_are_there_before_it(site: tuple[str, list[str]]) -> None:
    url, asked = site
    values = [
        burst(f"{url}/map"),
        burst(f"{url}/map", record_number=2),
        burst(f"{url}/none"),
        burst(f"{url}/test", alert_tense="test"),
        burst(f"{url}/other", mission="IceCube"),
        burst(f"{url}/gone", alert_type="retraction"),
        b"no notice",
    ]
    ahead = MapsAhead(topology(), fetcher())
    asyncio.run(ahead.prepare([SimpleNamespace(value=one) for one in [*values, None]]))
    assert asked == ["/map", "/none"]
    assert ahead.at(f"{url}/map") == FetchedMap(b"map", "")
    assert "404" in ahead.at(f"{url}/none").fault
    asyncio.run(ahead.prepare([]))
    assert "too many" in ahead.at(f"{url}/map").fault
