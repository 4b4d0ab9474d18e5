"""``ampelstream dev``: what a developer needs beside ampelstream itself."""

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Things for development on one machine.", no_args_is_help=True)
kafka = typer.Typer(
    help="A real Apache Kafka on this machine: one broker, without login, on loopback only.",
    no_args_is_help=True,
)
app.add_typer(kafka, name="kafka")

_Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Directory of its data; by default ~/.local/share/ampelstream/kafka."
    ),
]


@kafka.command()
def start(
    data: _Data = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where it listens: as before in its data, else 9092."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Version of Kafka: as before in its data, else a current one."),
    ] = None,
) -> None:
    """Start it, and print its address alone; it goes on when the command has ended.

    Kafka is fetched with Maven at the first time. Where it runs already, its address is printed.

    Example: ampelstream run kilonova --engine faust --broker $(ampelstream dev kafka start)
    """
    from ampelstream.testing.broker.broker import Broker
    from ampelstream.testing.broker.directory import read_record
    from ampelstream.testing.broker.jars import DEFAULT_VERSION, cached

    directory = _directory(data)
    known = read_record(directory)
    broker = Broker(
        directory,
        port=port or (known.port if known else 9092),
        version=version or (known.version if known else DEFAULT_VERSION),
    )
    wanted = (broker.version, broker.port)
    if broker.alive:
        typer.echo(f"Kafka runs already with its data in {directory}", err=True)
    else:
        if not cached(broker.version):
            typer.echo(f"fetching Kafka {broker.version} with Maven, once", err=True)
        typer.echo(f"starting Kafka {broker.version} with its data in {directory}", err=True)
    broker.start()
    if (broker.version, broker.port) != wanted:
        typer.echo(
            f"it is Kafka {broker.version} on port {broker.port}, not {wanted[0]} on {wanted[1]}; "
            "stop it first to change that",
            err=True,
        )
    typer.echo(broker.address)


@kafka.command()
def stop(
    data: _Data = None,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds until it is killed.")] = 30.0,
) -> None:
    """Stop it and wait until it has ended; its data stay.

    Example: ampelstream dev kafka stop
    """
    from ampelstream.errors import BrokerError
    from ampelstream.testing.broker.broker import Broker

    broker = Broker(_directory(data))
    pid = broker.pid
    if pid is None:
        typer.echo(f"no Kafka runs with its data in {broker.directory}", err=True)
        return
    try:
        broker.stop(timeout)
    except BrokerError as error:
        typer.echo(f"{error}; killing it", err=True)
        broker.kill()
    typer.echo(f"Kafka on {broker.address} (process {pid}) has ended", err=True)


@kafka.command()
def status(data: _Data = None) -> None:
    """Say whether it runs, and where; exit code 1 where it does not.

    Example: ampelstream dev kafka status
    """
    from ampelstream.testing.broker.directory import pid_of, read_record

    directory = _directory(data)
    known = read_record(directory)
    pid = pid_of(directory, known)
    typer.echo(f"running  {'no' if pid is None else 'yes'}")
    if known is not None:
        typer.echo(f"address  127.0.0.1:{known.port}")
        typer.echo(f"version  {known.version}")
    if pid is not None:
        typer.echo(f"pid      {pid}")
    typer.echo(f"data     {directory}")
    if pid is None:
        raise typer.Exit(1)


def _directory(named: Path | None) -> Path:
    """Directory of the data: the one that is named, else one of the user's."""
    if named is not None:
        return named.resolve()
    data = os.environ.get("XDG_DATA_HOME")
    base = Path(data) if data else Path.home() / ".local" / "share"
    return (base / "ampelstream" / "kafka").resolve()
