"""Command group ``units``: which units there are, what they do, and running one by itself."""

import inspect
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.cli.options import SchemasOption
from ampelstream.errors import ConfigError, SourceError
from ampelstream.model.display import LINE, counted, printable

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from ampelstream.codecs.alerts import Schemas
    from ampelstream.core.boundary import Failure
    from ampelstream.model.fieldtypes import FieldType
    from ampelstream.model.record import SourceRecord
    from ampelstream.units import AlertFilter, Unit

__all__ = ["app", "print_rows", "row"]

app = typer.Typer(help="List the units, describe one, or run one by itself.", no_args_is_help=True)


def _write(record: Any) -> None:
    sys.stdout.write(json.dumps(record) + "\n")


@app.command("list")
def list_units() -> None:
    """List the units that ship and those that installed packages offer."""
    from ampelstream.units.discovery import available

    rows = [row(name) for name in available()]
    if sys.stdout.isatty():
        print_rows(rows)
    else:
        for one in rows:
            _write(one)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A name of `units list`, or package.module:Class.")],
    *,
    schema: Annotated[
        bool, typer.Option("--json", help="Give the JSON schema of its configuration.")
    ] = False,
) -> None:
    """Describe a unit: what it does, the keys of its configuration, the fields of its result.

    A unit of your own, in mymodule.py of this directory, is mymodule:MyUnit.
    """
    unit = _resolve(name)
    if schema:
        sys.stdout.write(json.dumps(unit.model_json_schema(), indent=2) + "\n")
    else:
        sys.stdout.write(_describe(unit) + "\n")


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="An alert filter, or KilonovaScore.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="For a filter: alert files, directories and archives. For KilonovaScore: files "
            "of cases, one JSON object a line.",
        ),
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="The unit's configuration, YAML or JSON.")
    ] = None,
    catalogs: Annotated[
        Path | None, typer.Option("--catalogs", help="Directory of the catalogues.")
    ] = None,
    schemas: SchemasOption = None,
) -> None:
    """Run a unit by itself and print one JSON object a record.

    For an alert filter: file (and member, in an archive), record, objectId, candid, accept, reason.
    For KilonovaScore: name, the score, its parts, is_gold and rejects.

    Example: ampelstream units run DecentFilter --config cuts.yml alerts/ > verdicts.ndjson
    """
    from ampelstream.cli.workflow import given_schemas

    with tempfile.TemporaryDirectory() as kept:
        given = given_schemas(schemas, Path(kept))
        if _run_unit(name, _read_config(config), inputs, catalogs, given):
            raise typer.Exit(3)


def _kind(unit: "type[Unit]") -> str:
    """Which contract the unit keeps."""
    from ampelstream.units import AlertFilter, MatchFilter, ObjectUnit

    kinds = {AlertFilter: "alert filter", MatchFilter: "match filter", ObjectUnit: "object unit"}
    return next((name for base, name in kinds.items() if issubclass(unit, base)), "unit")


def row(name: str) -> dict[str, Any]:
    """One line of the list; a unit that cannot be imported says why in ``error``."""
    from ampelstream.units.discovery import resolve

    try:
        unit = resolve(name)
    except ConfigError as error:
        return {"name": name, "kind": None, "error": str(error)}
    return {
        "name": name,
        "kind": _kind(unit),
        "provides": getattr(unit, "provides", None),
        "needs": list(getattr(unit, "needs", ())),
        "uses": list(getattr(unit, "uses", ())),
        "doc": _doc(unit).partition("\n")[0],
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the list as a table for people."""
    from rich.table import Table
    from rich.text import Text

    from ampelstream.cli.tables import print_table

    table = Table()
    # the last ones are left out where there is no room
    table.add_column("unit", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("what it does", min_width=30)
    for heading in ("provides", "needs", "uses"):
        table.add_column(heading, overflow="fold")
    for one in rows:
        cells = (
            one["name"],
            one["kind"] or "broken",
            one.get("doc") or one.get("error") or "",
            one.get("provides") or "",
            ", ".join(one.get("needs", ())),
            ", ".join(one.get("uses", ())),
        )
        table.add_row(*(Text(printable(cell, LINE)) for cell in cells))
    print_table(table, keep=3)


def _resolve(name: str) -> "type[Unit]":
    """Class of a unit; modules of the user's own are found in this directory."""
    from ampelstream.topology.ownmodules import look_beside
    from ampelstream.units.discovery import resolve

    look_beside(Path.cwd())
    return resolve(name)


def _describe(unit: "type[Unit]") -> str:
    """Docstring, dependencies, the keys of the configuration and the fields of the result."""
    from ampelstream.model.fieldtypes import documented, type_of
    from ampelstream.units import ObjectUnit

    facts = [f"{unit.__name__} ({_kind(unit)}, version {unit.version})"]
    for name in ("provides", "needs", "uses"):
        value = getattr(unit, name, None)
        if value:
            facts.append(f"{name}: {value if isinstance(value, str) else ', '.join(value)}")
    if getattr(unit, "needs_event", False):
        facts.append("needs an event")
    about = documented(unit)
    keys = [_key(name, field, about.get(name, "")) for name, field in unit.model_fields.items()]
    head = "Configuration:" if keys else "It has no configuration."
    lines = [*facts, "", _doc(unit), "", head, *keys]
    if issubclass(unit, ObjectUnit):
        lines += ["", *_result(type_of(unit.result_class()))]
    return "\n".join(lines)


def _result(held: "FieldType") -> Iterator[str]:
    """What a unit gives."""
    if held.open:
        yield "Its result has fields that it does not declare: conditions by them are not checked."
        return
    yield "Result:"
    yield from _fields(held, "  ")


def _fields(held: "FieldType", indent: str) -> Iterator[str]:
    """Fields of a record, those together that are described together, and of what they hold."""
    for _, group in groupby(
        held.fields.items(), key=lambda one: (one[1].about or one, str(one[1]))
    ):
        named = list(group)
        of = named[0][1]
        yield f"{indent}{', '.join(name for name, _ in named)}: {of}"
        if of.about:
            yield f"{indent}    {of.about}"
        yield from _fields(of, f"{indent}  ")
    if held.of is not None and (held.of.fields or held.kind == "record"):
        yield f"{indent}each: {held.of}"
        yield from _fields(held.of, f"{indent}  ")


def _doc(unit: "type[Unit]") -> str:
    """Docstring of the class itself; not the one that pydantic or a base class lends it."""
    said = inspect.cleandoc(unit.__dict__.get("__doc__") or "")
    return said.partition("\nAttributes\n---")[0].rstrip()  # these are shown as its keys


def _key(name: str, field: "FieldInfo", about: str) -> str:
    hint = field.annotation
    plain = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    default = (
        "required"
        if field.is_required()
        else f"default {field.get_default(call_default_factory=True)!r}"
    )
    about = field.description or about
    said = f"\n      {about}" if about else ""
    return f"  {name}: {plain}, {default}{said}"


def _read_config(path: Path | None) -> dict[str, Any]:
    """Read a unit's configuration; an empty one without a file.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not a mapping in YAML or JSON.
    """
    from ampelstream.topology.yamlloader import read_yaml

    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        # nearly all JSON is YAML, but not tabs, and YAML takes 1e9 for a string
        content = json.loads(text) if path.suffix == ".json" else read_yaml(text, path)[1]
    except OSError as error:
        raise ConfigError(f"configuration {path}: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"configuration {path} is neither YAML nor JSON: {error}") from error
    except (ValueError, RecursionError) as error:  # also of numbers too long to be any
        raise ConfigError(f"configuration {path} is neither YAML nor JSON: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"configuration {path} must be a mapping of the unit's keys to values")
    return content


def _run_unit(
    name: str,
    config: Mapping[str, Any],
    inputs: Sequence[Path],
    catalogs: Path | None,
    schemas: "Schemas | None",
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
    schemas
        Of alerts that only name theirs.

    Returns
    -------
    int
        Number of records that could not be handled; each was named on stderr.

    Raises
    ------
    AmpelstreamError
        No such unit, wrong configuration, missing file or catalogue.
    """
    from ampelstream.sky.catalogs import CatalogStore
    from ampelstream.units import AlertFilter, Resources
    from ampelstream.units.discovery import configure
    from ampelstream.units.scores.kilonova import KilonovaScore

    unit = _resolve(name)
    if issubclass(unit, KilonovaScore):
        return _run_cases(name, config, inputs)
    if not issubclass(unit, AlertFilter):
        raise ConfigError(_cannot_run(name, unit))
    ready = configure(name, config)
    store = CatalogStore(catalogs if catalogs is not None else CatalogStore.default_root())
    ready.open(Resources(catalogs=store))
    return _run_filter(ready, inputs, schemas) if isinstance(ready, AlertFilter) else 0


def _cannot_run(name: str, unit: "type[Unit]") -> str:
    from ampelstream.units import MatchFilter

    what = (
        "evaluates an object against an event"
        if issubclass(unit, MatchFilter)
        else "computes from a light curve, an event and other units' results"
    )
    return (
        f"{name} cannot be run by itself: it {what}, and there is none here. Run alert filters and "
        "KilonovaScore like this; list the others in a topology and use `ampelstream replay`"
    )


def _complain(where: str, failure: "Failure") -> None:
    text = f"{printable(where)}: {failure.error}: {printable(failure.reason, LINE)}"
    sys.stderr.write(text + "\n")


def _run_filter(unit: "AlertFilter", inputs: Sequence[Path], schemas: "Schemas | None") -> int:
    from ampelstream.core.boundary import Failure, attempt

    missing = [str(path) for path in inputs if not path.exists()]
    if missing:
        raise SourceError(f"no such file or directory: {', '.join(missing)}")
    failed = 0
    for path in inputs:
        for origin, record in _records(path):
            outcome = attempt(_verdict, unit, record, schemas)
            if isinstance(outcome, Failure):
                failed += 1
                _complain(f"{_where(origin)}, record {origin['record']}", outcome)
            else:
                _write({**origin, **outcome})
    if failed:
        sys.stderr.write(f"{counted(failed, 'record')} could not be handled\n")
    return failed


def _where(origin: Mapping[str, Any]) -> str:
    return f"{origin['file']}, {origin['member']}" if "member" in origin else str(origin["file"])


def _verdict(
    unit: "AlertFilter", record: "SourceRecord", schemas: "Schemas | None"
) -> dict[str, Any]:
    from ampelstream.codecs.alerts import decode
    from ampelstream.core.boundary import asked

    if record.fault:
        raise SourceError(record.fault)
    alert = decode(record.value, schemas)
    verdict = asked(unit.evaluate(alert))
    return {
        "objectId": alert.object_id,
        "candid": alert.candid,
        "accept": verdict.accept,
        "reason": verdict.reason or None,
    }


def _records(path: Path) -> "Iterator[tuple[dict[str, Any], SourceRecord]]":
    """Records of an input, with file, member and the index of the record in it."""
    from ampelstream.sources import open_source

    of_file = groupby(
        open_source(path, "alerts").read({}), key=lambda one: (one.where.source, one.member)
    )
    for (source, member), records in of_file:
        origin = _origin(path, source, member)
        for index, record in enumerate(records):
            yield {**origin, "record": index}, record


def _origin(path: Path, source: str, member: str) -> dict[str, Any]:
    """File, as a path that the user can open, and member where it is an archive.

    Records of a directory have the directory's own name and the path within it as their source.
    """
    inner = source.removeprefix(f"{path.resolve().name}/") if path.is_dir() else ""
    file = path / inner if inner else path
    plain = member in {"", file.name}
    return {"file": str(file)} if plain else {"file": str(file), "member": member}


def _run_cases(name: str, config: Mapping[str, Any], inputs: Sequence[Path]) -> int:
    from ampelstream.core.boundary import Failure, attempt
    from ampelstream.units.discovery import configure

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
                _write(outcome)
    if failed:
        sys.stderr.write(f"{counted(failed, 'case')} could not be handled\n")
    return failed


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise SourceError(f"cases {path}: {error.strerror}") from error


def _case(name: str, config: Mapping[str, Any], line: bytes) -> dict[str, Any]:
    from ampelstream.units.discovery import configure
    from ampelstream.units.scores.kilonova import KilonovaScore
    from ampelstream.units.scores.kilonova_cases import decode_case, score_case

    case = decode_case(line)
    unit = configure(name, {**config, **case.input.config})
    if not isinstance(unit, KilonovaScore):
        raise ConfigError(f"{name} is not a KilonovaScore")
    return score_case(unit, case)
