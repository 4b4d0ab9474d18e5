"""``ampelstream topology``: check a workflow, read it, draw it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ampelstream.errors import AmpelstreamError
from ampelstream.model.display import LINE, printable, printable_lines

if TYPE_CHECKING:
    from ampelstream.topology import Identity

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
            for note in topology.notes:
                typer.echo(f"note: {printable(note, LINE)}", err=True)
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


@app.command()
def diff(
    context: typer.Context,
    file: _File,
    other: Annotated[
        str | None, typer.Argument(help="A second file; the first is the older one.")
    ] = None,
    catalogs: _Catalogs = None,
    state: Annotated[
        Path | None, typer.Option(help="Compare with what runs on this state (embedded).")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            help="Compare with what runs on this cluster: host:port, or a YAML file.",
            envvar="AMPELSTREAM_BROKER",
            metavar="ADDRESS|FILE",
        ),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each line.")] = False,
) -> None:
    """Say what changes with another file, and what follows from each change.

    Two files; or one, with what runs on --state or --broker.

    Example: ampelstream topology diff kilonova my-kilonova.yml

    ampelstream topology diff my-kilonova.yml --broker localhost:9092
    """
    from ampelstream.cli.options import only_one
    from ampelstream.cli.workflow import open_topology
    from ampelstream.topology import identity_of

    only_one(context, other="a second file", state="--state", broker="--broker")
    from ampelstream.topology.differences import differences, in_words

    last = identity_of(open_topology(other or file, catalogs)[1])
    if other is not None:
        first = identity_of(open_topology(file, catalogs)[1])
    else:
        first = _running(last.name, state, broker)
    found = differences(first, last)
    if json or not sys.stdout.isatty():
        import msgspec

        for one in found:
            typer.echo(msgspec.json.encode(one).decode())
    else:
        for line in in_words(found):
            typer.echo(line)
    if not found:
        typer.echo("no difference", err=True)
    elif other is None:
        text = f"in force is version {first.version} with content {first.digest}"
        typer.echo(text, err=True)


def _running(name: str, state: Path | None, broker: str | None) -> "Identity":
    """Content of the topology that runs on a state or a cluster."""
    if state is not None:
        from ampelstream.runtime.embedded.stored import stored_topology

        return stored_topology(state, name)
    if broker is None:
        raise typer.BadParameter("give a second file, --state or --broker")
    import asyncio

    from ampelstream.cli.options import connect
    from ampelstream.errors import ConfigError, StateError
    from ampelstream.runtime.kafka.clients import topic_names
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.topologylog import TopologyLog

    connection, names = connect(broker), TopicNames(name)
    if names.topology_log not in asyncio.run(topic_names(connection)):
        raise ConfigError(
            f"{connection.describe()} has no topic {names.topology_log}; look at the name of the "
            "topology, or bring its topics in line with `ampelstream topics create`"
        )
    current = asyncio.run(TopologyLog(connection, names.topology_log).read())
    if current is None:
        raise StateError(
            f"topology {name} has not run on {connection.describe()} yet: any file may begin"
        )
    return current.content
