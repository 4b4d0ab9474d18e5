"""Command group ``units``: which units there are, what they do, and running one by itself."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(help="List the units, describe one, or run one by itself.", no_args_is_help=True)


def _write(record: Any) -> None:
    sys.stdout.write(json.dumps(record) + "\n")


@app.command("list")
def list_units() -> None:
    """List the units that ship and those that installed packages offer."""
    from ampelstream.cli import unit_facts as facts
    from ampelstream.units.discovery import available

    rows = [facts.row(name) for name in available()]
    if sys.stdout.isatty():
        facts.print_rows(rows)
    else:
        for row in rows:
            _write(row)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A name of `units list`, or package.module:Class.")],
    *,
    schema: Annotated[
        bool, typer.Option("--json", help="Give the JSON schema of its configuration.")
    ] = False,
) -> None:
    """Describe a unit: what it does, and the keys of its configuration."""
    from ampelstream.cli import unit_facts as facts
    from ampelstream.units.discovery import resolve

    unit = resolve(name)
    if schema:
        sys.stdout.write(json.dumps(facts.schema(unit), indent=2) + "\n")
    else:
        sys.stdout.write(facts.describe(unit) + "\n")


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
) -> None:
    """Run a unit by itself and print one JSON object a record.

    For an alert filter: file (and member, in an archive), record, objectId, candid, accept, reason.
    For KilonovaScore: name, the score, its parts, is_gold and rejects.

    Example: ampelstream units run DecentFilter --config cuts.yml alerts/ > verdicts.ndjson
    """
    from ampelstream.cli import unit_runs as runs

    settings = runs.read_config(config)
    failed = runs.run_unit(name, settings, inputs, catalogs, _write)
    if failed:
        raise typer.Exit(3)
