"""``ampelstream topology``: check a workflow, read it, draw it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ampelstream.errors import AmpelstreamError
from ampelstream.model.display import printable_lines

__all__ = ["app"]

app = typer.Typer(help="Check a topology, describe it, draw it.", no_args_is_help=True)

_File = Annotated[str, typer.Argument(help="Topology file, or the name of a shipped one.")]
_Catalogs = Annotated[Path | None, typer.Option(help="Directory of the catalogues.")]


class _Format(StrEnum):
    MERMAID = "mermaid"
    TEXT = "text"


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Topology files, or names of shipped ones.")],
    catalogs: _Catalogs = None,
) -> None:
    """Check that topologies are valid and that what they name is there.

    Example: ampelstream topology check kilonova my.yml
    """
    from ampelstream.cli.workflow import open_topology

    failed = False
    for name in files:
        try:
            _, topology = open_topology(name, catalogs)
        except AmpelstreamError as error:
            failed = True
            sys.stderr.write(f"error: {printable_lines(error, indent='  ')}\n")
        else:
            typer.echo(f"{name}: ok ({topology.name} {topology.version}, hash {topology.hash})")
    if failed:
        raise typer.Exit(1)


@app.command()
def describe(
    file: _File,
    catalogs: _Catalogs = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> None:
    """Say everything about a topology: steps, units, settings, hashes.

    Example: ampelstream topology describe kilonova
    """
    import msgspec

    from ampelstream.cli.workflow import open_topology
    from ampelstream.topology.describe import as_plain
    from ampelstream.topology.describe import describe as in_words

    _, topology = open_topology(file, catalogs)
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_plain(topology)), indent=2).decode())
    else:
        typer.echo(in_words(topology))


@app.command()
def graph(
    file: _File,
    catalogs: _Catalogs = None,
    format_: Annotated[
        _Format, typer.Option("--format", help="mermaid for documents, text for terminals.")
    ] = _Format.MERMAID,
) -> None:
    """Draw a topology.

    Example: ampelstream topology graph kilonova --format text
    """
    from ampelstream.cli.workflow import open_topology
    from ampelstream.topology.describe import mermaid, outline

    _, topology = open_topology(file, catalogs)
    typer.echo(outline(topology) if format_ is _Format.TEXT else mermaid(topology))
