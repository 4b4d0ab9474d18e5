"""``ampelstream candidates``: what a topology found on Kafka."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ampelstream.cli.options import BrokerOption, TopologyArgument, connect, create_command
from ampelstream.model.display import counted

__all__ = ["app"]

app = typer.Typer(help="Candidates of a topology that runs on Kafka.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``export`` a command of its own while it is the only one."""


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
