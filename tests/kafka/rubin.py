"""Packets in Rubin's manner for tests, and a schema registry that learns."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import fastavro

__all__ = ["MJD", "SCHEMA", "Registry", "packet", "registry"]

MJD = 61109.25

_SOURCE = {
    "type": "record",
    "name": "made.diaSource",
    "fields": [
        *({"name": name, "type": "long"} for name in ("diaSourceId", "visit")),
        {"name": "detector", "type": "int"},
        *({"name": name, "type": ["null", "long"]} for name in ("diaObjectId", "ssObjectId")),
        *({"name": name, "type": "double"} for name in ("midpointMjdTai", "ra", "dec")),
        *({"name": name, "type": "float"} for name in ("x", "y")),
        *({"name": name, "type": ["null", "float"]} for name in ("psfFlux", "psfFluxErr")),
        {"name": "reliability", "type": ["null", "float"]},
        {"name": "band", "type": ["null", "string"]},
    ],
}
_FORCED = {
    "type": "record",
    "name": "made.diaForcedSource",
    "fields": [
        {"name": "diaForcedSourceId", "type": "long"},
        {"name": "psfFlux", "type": ["null", "float"]},
    ],
}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "made.alert",
    "fields": [
        {"name": "diaSourceId", "type": "long"},
        {"name": "diaSource", "type": _SOURCE},
        {
            "name": "prvDiaSources",
            "type": ["null", {"type": "array", "items": "made.diaSource"}],
        },
        {"name": "prvDiaForcedSources", "type": ["null", {"type": "array", "items": _FORCED}]},
    ],
}
_PARSED = fastavro.parse_schema(SCHEMA)


def packet(number: int, schema_id: int, mjd: float = MJD) -> bytes:
    """Alert of an object of its own, in Confluent's wire format."""
    source = {
        "diaSourceId": number,
        "visit": 2026030900000 + number,
        "detector": 148,
        "diaObjectId": 7000 + number,
        "ssObjectId": 0,
        "midpointMjdTai": mjd,
        "ra": 150.0 + number / 1000,
        "dec": -2.0,
        "x": 10.0,
        "y": 20.0,
        "psfFlux": 1000.0,
        "psfFluxErr": 50.0,
        "reliability": 0.75,
        "band": "z",
    }
    row = {
        "diaSourceId": number,
        "diaSource": source,
        "prvDiaSources": None,
        "prvDiaForcedSources": None,
    }
    out = io.BytesIO()
    out.write(b"\0" + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, _PARSED, row)
    return out.getvalue()


class Registry:
    """Answers 404 for a schema until it is told.

    Attributes
    ----------
    schemas
        What it knows.
    asked
        Identifiers, each time one was asked for.
    """

    def __init__(self) -> None:
        self.schemas: dict[int, Any] = {}
        self.asked: list[int] = []
        self.url = ""

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        schema_id = int(path.removeprefix("/schemas/ids/"))
        self.asked.append(schema_id)
        if schema_id not in self.schemas:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        return 200, {"schema": json.dumps(self.schemas[schema_id])}


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry on a port of its own."""
    known = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = known.get(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()
