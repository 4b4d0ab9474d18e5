"""``ampelstream topics``: the topics of a topology on Kafka, made, filled and listed."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.cli.options import BrokerOption, TopologyArgument, connect, create_command
from ampelstream.model.display import LINE, counted, printable

if TYPE_CHECKING:
    from ampelstream.runtime.kafka.plan import PlannedTopic

__all__ = ["app"]

_DAY_MS = 86_400_000
_SHOWN_REFUSED = 5

app = typer.Typer(help="Create, list and fill the topics of a topology.", no_args_is_help=True)


def _show(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write rows: these columns as a table on a terminal, else all of them as NDJSON."""
    import msgspec
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", justify="left" if name == "topic" else "right")
    for row in rows:
        cells = ("-" if row[name] is None else printable(row[name]) for name in columns)
        table.add_row(*map(Text, cells))
    Console().print(table)


def _keeps(config: Mapping[str, str]) -> str:
    """What a topic keeps: days of records, all of them, or the latest of each key."""
    if "retention.ms" not in config:
        return "latest"
    kept = int(config["retention.ms"])
    return f"{kept / _DAY_MS:g} d" if kept >= 0 else "all"


def _plan_row(one: "PlannedTopic") -> dict[str, Any]:
    return {
        "topic": one.wanted.name,
        "action": one.action.value,
        "partitions": one.wanted.partitions,
        "copies": one.wanted.replication,
        "keeps": _keeps(one.wanted.config),
        "config": dict(one.wanted.config),
        "changes": {key: {"from": old, "to": new} for key, (old, new) in one.changes.items()},
        "remark": one.remark,
    }


def _remarks(plan: Iterable["PlannedTopic"]) -> Iterator[str]:
    """What the table has no room for."""
    for one in plan:
        for key, (old, new) in one.changes.items():
            yield f"{one.wanted.name}: {key} is {old}, becomes {new}"
        if one.remark:
            yield f"{one.wanted.name}: {one.remark}"


@app.command()
def create(
    topology: TopologyArgument,
    broker: BrokerOption,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=512, help="Instead of the topology's kafka.partitions.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Instead of the topology's kafka.replication.")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, instead of only saying what.")] = False,
) -> None:
    """Show which topics a topology needs, and with --yes create and alter them.

    Exit code 1 where a topic has a partition count that cannot be changed; nothing is changed then.

    Example: ampelstream topics create kilonova --broker localhost:9092 --yes
    """
    import asyncio

    from ampelstream.runtime.kafka.admin import apply, inspect
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.plan import (
        Action,
        all_names,
        check_partitions,
        compare,
        wanted_topics,
    )
    from ampelstream.topology import load

    spec, connection = load(topology), connect(broker)
    changed = {"partitions": partitions, "replication": replication}
    kafka = spec.kafka.model_copy(update={k: v for k, v in changed.items() if v is not None})
    check_partitions(spec, kafka.partitions)
    names = TopicNames(spec.name)
    cluster = asyncio.run(inspect(connection, all_names(names)))
    plan = compare(wanted_topics(names, kafka, cluster.brokers), cluster.topics)
    _show([_plan_row(one) for one in plan], ("topic", "action", "partitions", "copies", "keeps"))
    for line in _remarks(plan):
        typer.echo(printable(line, LINE), err=True)
    actions = [one.action for one in plan]
    if Action.CONFLICT in actions:
        typer.echo("nothing was changed: see the remarks of the topics in conflict", err=True)
        raise typer.Exit(1)
    new, altered = actions.count(Action.CREATE), actions.count(Action.ALTER)
    if not new and not altered:
        typer.echo("nothing to do: the topics are as the topology wants them", err=True)
    elif yes:
        asyncio.run(apply(connection, plan))
        typer.echo(f"created {counted(new, 'topic')}, altered {altered}", err=True)
    else:
        typer.echo(f"to create: {new}, to alter: {altered}; --yes does it", err=True)


@app.command()
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
    record is larger than its topic takes; the others are loaded.

    Example: ampelstream topics load kilonova --alerts night/ --notices lvk/ --broker localhost:9092
    """
    import asyncio

    from ampelstream.cli.progress import watch
    from ampelstream.cli.workflow import open_inputs
    from ampelstream.runtime.kafka.loading import load as produce
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
    done = asyncio.run(produce(connection, names, records, create=create_command(topology, broker)))
    typer.echo(
        f"loaded {counted(done.counts['alerts'], 'alert')} into {names.alerts}, "
        f"{counted(done.counts['notices'], 'notice')} into {names.notices}: "
        f"{done.volume / 1e6:.1f} MB",
        err=True,
    )
    for line in done.refused[:_SHOWN_REFUSED]:
        typer.echo(f"not loaded: {printable(line, LINE)}", err=True)
    if len(done.refused) > _SHOWN_REFUSED:
        typer.echo(f"... and {len(done.refused) - _SHOWN_REFUSED} more", err=True)
    if done.refused:
        raise typer.Exit(1)


@app.command("list")
def list_topics(topology: TopologyArgument, broker: BrokerOption) -> None:
    """List the topics of a topology: partitions, and records held (end less beginning).

    Example: ampelstream topics list kilonova --broker localhost:9092
    """
    import asyncio

    from ampelstream.runtime.kafka.admin import inspect, record_counts
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.plan import all_names
    from ampelstream.topology import load

    names = all_names(TopicNames(load(topology).name))
    connection = connect(broker)

    async def look() -> list[dict[str, Any]]:
        cluster = await inspect(connection, names)
        counts = await record_counts(connection, cluster.topics.values())
        return [
            {
                "topic": name,
                "partitions": cluster.topics[name].partitions if name in cluster.topics else None,
                "records": counts.get(name),
            }
            for name in names
        ]

    rows = asyncio.run(look())
    _show(rows, ("topic", "partitions", "records"))
    if any(row["partitions"] is None for row in rows):
        typer.echo(
            f"some do not exist; create them with: {create_command(topology, broker)}", err=True
        )
