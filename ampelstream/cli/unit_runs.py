"""Running one unit by itself over files."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from ampelstream.codecs.alerts import decode
from ampelstream.core.boundary import Failure, attempt
from ampelstream.errors import ConfigError, SourceError
from ampelstream.model.alert import Alert
from ampelstream.model.record import SourceRecord
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sources import open_source
from ampelstream.units.base import AlertFilter, MatchFilter, Unit
from ampelstream.units.inputs import Resources
from ampelstream.units.registry import configure, resolve
from ampelstream.units.scores.kilonova import KilonovaScore
from ampelstream.units.scores.kilonova_cases import Case, decode_case, score_case

__all__ = ["read_config", "run_unit"]

Write = Callable[[Any], None]


def read_config(path: Path | None) -> dict[str, Any]:
    """Read a unit's configuration; an empty one without a file.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not a mapping in YAML or JSON.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        # nearly all JSON is YAML, but not tabs, and YAML takes 1e9 for a string
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is neither YAML nor JSON: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"configuration {path} must be a mapping of the unit's keys to values")
    return content


def run_unit(
    name: str,
    config: Mapping[str, Any],
    inputs: Sequence[Path],
    catalogs: Path | None,
    write: Write,
) -> int:
    """Run a unit over files.

    Parameters
    ----------
    name
        Of an alert filter, or KilonovaScore.
    config
        Its configuration.
    inputs
        Alerts, or cases.
    catalogs
        Directory of the catalogues; None for the default one.
    write
        Takes each output record.

    Returns
    -------
    int
        Number of records that could not be handled; each was named on stderr.

    Raises
    ------
    AmpelstreamError
        No such unit, wrong configuration, missing file or catalogue.
    """
    unit = resolve(name)
    if issubclass(unit, KilonovaScore):
        return _run_cases(name, config, inputs, write)
    if not issubclass(unit, AlertFilter):
        raise ConfigError(_cannot_run(name, unit))
    ready = configure(name, config)
    store = CatalogStore(catalogs if catalogs is not None else CatalogStore.default_root())
    ready.open(Resources(catalogs=store))
    return _run_filter(ready, inputs, write) if isinstance(ready, AlertFilter) else 0


def _cannot_run(name: str, unit: type[Unit]) -> str:
    what = (
        "judges an object against an event"
        if issubclass(unit, MatchFilter)
        else "computes from a light curve, an event and other units' results"
    )
    return (
        f"{name} cannot be run by itself: it {what}, and there is none here. Run alert filters and "
        "KilonovaScore like this; list the others in a topology and use `ampelstream replay`"
    )


def _complain(where: str, failure: Failure) -> None:
    sys.stderr.write(f"{where}: {failure.error}: {failure.reason}\n")


def _run_filter(unit: AlertFilter, inputs: Sequence[Path], write: Write) -> int:
    missing = [str(path) for path in inputs if not path.exists()]
    if missing:
        raise SourceError(f"no such file or directory: {', '.join(missing)}")
    failed = 0
    for path in inputs:
        for place, record in _records(path):
            outcome = attempt(_verdict, unit, record)
            if isinstance(outcome, Failure):
                failed += 1
                _complain(f"{_where(place)}, record {place['record']}", outcome)
            else:
                write({**place, **outcome})
    if failed:
        sys.stderr.write(f"{failed} records could not be handled\n")
    return failed


def _where(place: Mapping[str, Any]) -> str:
    return f"{place['file']}, {place['member']}" if "member" in place else str(place["file"])


def _verdict(unit: AlertFilter, record: SourceRecord) -> dict[str, Any]:
    if record.fault:
        raise SourceError(record.fault)
    alert: Alert = decode(record.value)
    verdict = unit.judge(alert)
    return {
        "objectId": alert.object_id,
        "candid": alert.candid,
        "accept": verdict.accept,
        "reason": verdict.reason or None,
    }


def _records(path: Path) -> Iterator[tuple[dict[str, Any], SourceRecord]]:
    """Records of an input, with file, member and the index of the record in it."""
    of_file = groupby(
        open_source(path, "alerts").read({}), key=lambda one: (one.where.source, one.member)
    )
    for (source, member), records in of_file:
        place = _place(path, source, member)
        for index, record in enumerate(records):
            yield {**place, "record": index}, record


def _place(path: Path, source: str, member: str) -> dict[str, Any]:
    """File, as a path that the user can open, and member where it is an archive.

    Records of a directory have the directory's own name and the path within it as their source.
    """
    inner = source.removeprefix(f"{path.resolve().name}/") if path.is_dir() else ""
    file = path / inner if inner else path
    plain = member in {"", file.name}
    return {"file": str(file)} if plain else {"file": str(file), "member": member}


def _run_cases(name: str, config: Mapping[str, Any], inputs: Sequence[Path], write: Write) -> int:
    configure(name, config)
    failed = 0
    for path in inputs:
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            outcome = attempt(_case, name, config, line)
            if isinstance(outcome, Failure):
                failed += 1
                _complain(f"{path}, line {number}", outcome)
            else:
                write(outcome)
    if failed:
        sys.stderr.write(f"{failed} cases could not be handled\n")
    return failed


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise SourceError(f"cases {path}: {error.strerror}") from error


def _case(name: str, config: Mapping[str, Any], line: bytes) -> dict[str, Any]:
    case: Case = decode_case(line)
    unit = configure(name, {**config, **case.input.config})
    if not isinstance(unit, KilonovaScore):
        raise ConfigError(f"{name} is not a KilonovaScore")
    return score_case(unit, case)
