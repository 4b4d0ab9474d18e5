"""``ampelstream candidates``: what a topology found, on Kafka or in a file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ampelstream.cli.options import BrokerOption, TopologyArgument, connect, create_command
from ampelstream.model.display import counted

__all__ = ["app"]

app = typer.Typer(help="Candidates that a topology found.", no_args_is_help=True)


@app.command()
def table(
    file: Annotated[Path, typer.Argument(help="candidates.ndjson of a replay or an export.")],
    event: Annotated[str, typer.Option(help="Only candidates of this event.")] = "",
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="Also those outside the region, or retracted.")
    ] = False,
) -> None:
    """Print candidates as a plain table, as a circular has them.

    Example: ampelstream candidates table result/candidates.ndjson --event IceCube-137840_57034692
    """
    import msgspec

    from ampelstream.errors import SourceError
    from ampelstream.report.circulartable import circular_table

    try:
        lines = file.read_bytes().splitlines()
        rows = [msgspec.json.decode(line, type=dict) for line in lines if line.strip()]
        found = circular_table(rows, event_id=event, others=all_)
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise SourceError(
            f"{file} holds no candidates: {error}; give a candidates.ndjson"
        ) from error
    for line in found:
        typer.echo(line)
    rows_shown = counted(max(len(found) - 2, 0), "candidate")
    typer.echo(f"{rows_shown}; magnitudes are AB", err=True)


@app.command()
def export(
    topology: TopologyArgument,
    broker: BrokerOption,
    out: Annotated[Path, typer.Option(help="File to write, NDJSON; - for standard output.")],
) -> None:
    """Write the last revision of each candidate, as a replay writes candidates.ndjson.

    Example: ampelstream candidates export kilonova --broker localhost:9092 --out candidates.ndjson
    """
    import asyncio

    from ampelstream.errors import ConfigError
    from ampelstream.runtime.kafka.export import last_candidates
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.outputs import candidate_row, encode_lines, write_lines
    from ampelstream.topology import load

    names = TopicNames(load(topology).name)
    found = asyncio.run(
        last_candidates(connect(broker), names.candidates, create=create_command(topology, broker))
    )
    rows = (candidate_row(one) for one in found)
    if str(out) == "-":
        sys.stdout.buffer.writelines(encode_lines(rows))
        sys.stdout.buffer.flush()
    else:
        try:
            write_lines(out, rows)
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
    typer.echo(counted(len(found), "candidate"), err=True)
