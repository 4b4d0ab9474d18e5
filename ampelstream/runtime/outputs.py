"""Results as files: sorted, deterministic, written whole or not at all."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ampelstream.model.candidate import Candidate
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.lightcurve import Datapoint

__all__ = [
    "candidate_row",
    "encode_lines",
    "letter_row",
    "point_row",
    "write_json",
    "write_lines",
    "write_text",
]

_encoder = msgspec.json.Encoder(order="deterministic")


def point_row(point: Datapoint) -> dict[str, Any]:
    """A datapoint under its field names, without what is not known."""
    fields = zip(point.__struct_fields__, msgspec.structs.astuple(point), strict=True)
    return {"band": point.band} | {name: value for name, value in fields if value is not None}


def candidate_row(candidate: Candidate) -> dict[str, Any]:
    """A candidate as plain data, its datapoints and coordinates with named fields."""
    row: dict[str, Any] = msgspec.to_builtins(candidate)
    row["lightcurve"] = [point_row(point) for point in candidate.lightcurve]
    row["provenance"]["records"] = [
        {"source": where.source, "partition": where.partition, "offset": where.offset}
        for where in candidate.provenance.records
    ]
    return row


def letter_row(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as plain data, its record in base64."""
    return {
        "source": letter.where.source,
        "partition": letter.where.partition,
        "offset": letter.where.offset,
        "stream": letter.stream,
        "member": letter.member,
        "step": letter.step,
        "error": letter.error,
        "reason": letter.reason,
        "value_base64": base64.b64encode(letter.value).decode(),
    }


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.writelines(parts)
    temporary.replace(path)


def encode_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Rows as lines of NDJSON, keys sorted."""
    return (_encoder.encode(row) + b"\n" for row in rows)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as NDJSON, keys sorted."""
    _replace(path, encode_lines(rows))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON document, indented, keys in the order given."""
    _replace(path, (msgspec.json.format(msgspec.json.encode(content), indent=2), b"\n"))


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    _replace(path, (text.encode(),))
