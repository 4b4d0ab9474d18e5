"""``ampelstream topics load``: files into the input topics."""

from pathlib import Path
from typing import Annotated

import typer

from ampelstream.cli.kafka_options import BrokerOption, TopologyArgument, connect, create_command

__all__ = ["load"]

_SHOWN_REFUSED = 5


def load(
    topology: TopologyArgument,
    broker: BrokerOption,
    alerts: Annotated[
        list[Path] | None, typer.Option(help="File, directory or archive of alerts; repeatable.")
    ] = None,
    notices: Annotated[
        list[Path] | None, typer.Option(help="File or directory of notices; repeatable.")
    ] = None,
) -> None:
    """Put files of alerts and notices into the topology's input topics, by event time.

    Headers keep where each record came from, so that results name the files. Exit code 1 where a
    record is larger than its topic takes, or a file is damaged; the others are loaded.

    Example: ampelstream topics load kilonova --alerts night/ --notices lvk/ --broker localhost:9092
    """
    import asyncio

    from ampelstream.cli.progress import watch
    from ampelstream.cli.workflow import open_inputs
    from ampelstream.runtime.kafka.load import load as produce
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.sources import merge
    from ampelstream.topology import load as read

    names, connection = TopicNames(read(topology).name), connect(broker)
    sources = open_inputs(alerts or [], notices or [])
    if not sources:
        raise typer.BadParameter("name --alerts or --notices, or both")
    sizes = [source.estimate() for source in sources]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    records = watch(merge(sources, {}), 0, total)
    done = asyncio.run(produce(connection, names, records, mend=create_command(topology, broker)))
    typer.echo(
        f"loaded {done.counts['alerts']} alerts into {names.alerts}, {done.counts['notices']} "
        f"notices into {names.notices}: {done.volume / 1e6:.1f} MB",
        err=True,
    )
    for line in done.refused[:_SHOWN_REFUSED]:
        typer.echo(f"not loaded: {line}", err=True)
    if len(done.refused) > _SHOWN_REFUSED:
        typer.echo(f"... and {len(done.refused) - _SHOWN_REFUSED} more", err=True)
    if done.refused:
        raise typer.Exit(1)
