"""``ampelstream status``: how a topology that runs is doing."""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.cli.options import OptionalBroker, connect, only_one
from ampelstream.model.display import LINE, printable

if TYPE_CHECKING:
    from ampelstream.runtime.embedded.runstatus import RunStatus
    from ampelstream.runtime.kafka.groups import StepStatus
    from ampelstream.runtime.kafka.topologystatus import TopologyStatus

__all__ = ["status"]

_FAULTY = 1


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number of seconds")
    return value


def status(
    context: typer.Context,
    topology: Annotated[
        str | None,
        typer.Argument(
            help="Name or file of the topology; without it, all that are found.",
            show_default=False,
        ),
    ] = None,
    *,
    state: Annotated[
        Path | None,
        typer.Option(help="Directory of the state of `run` in one process; it need not run."),
    ] = None,
    broker: OptionalBroker = None,
    sources: Annotated[
        Path | None,
        typer.Option(help="With --broker: the file of sources that the workers are given."),
    ] = None,
    max_age: Annotated[
        float,
        typer.Option(
            min=0,
            callback=_finite,
            metavar="SECONDS",
            help="Longest time since the last heartbeat; with --broker, without a commit of a step "
            "for which records wait.",
        ),
    ] = 120.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each topology, on a terminal too.")
    ] = False,
) -> None:
    """Say how topologies are doing: what came in and out, event time, what waits, dead letters.

    With --state, of `run` in one process. With --broker, of workers on Kafka, seen from outside: no
    group is joined.

    Exit code 1 where something is wrong, and standard error says what: no heartbeat for --max-age
    seconds, a process that is gone, a step without a worker, records that wait and are not read.

    Example of each:
    ampelstream status --state state/

    ampelstream status kilonova --broker localhost:9092
    """
    only_one(context, state="--state", broker="--broker")
    only_one(context, state="--state", sources="--sources")
    if state is not None:
        wrong = _embedded(topology, state, max_age, as_json=as_json or not sys.stdout.isatty())
    elif broker:
        as_json = as_json or not sys.stdout.isatty()
        wrong = _on_kafka(topology, broker, sources, max_age, as_json=as_json)
    else:
        raise typer.BadParameter("say where it runs: --state, or --broker")
    sys.stdout.flush()
    for line in wrong:
        typer.echo(printable(line, LINE), err=True)
    if wrong:
        raise typer.Exit(_FAULTY)


def _name(topology: str) -> str:
    """Name of a topology that is given by name or by file."""
    from ampelstream.shipped import topologies
    from ampelstream.topology import load

    is_file = Path(topology).suffix in {".yml", ".yaml"} or Path(topology).is_file()
    return load(topology).name if is_file or topology in topologies() else topology


def _write(rows: Sequence[dict[str, Any]]) -> None:
    import msgspec

    for row in rows:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def _table(rows: Sequence[Sequence[object]], head: Sequence[str] = ()) -> None:
    """A table; the first column to the left, with a head numbers to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_header=bool(head))
    for number in range(len(rows[0])):
        title = head[number] if head else ""
        justify = "right" if head and number else "left"
        table.add_column(title, overflow="fold", justify=justify)  # type: ignore[arg-type]  # (one of Rich's words)
    for row in rows:
        table.add_row(*(Text(printable(one, LINE)) for one in row))
    Console().print(table)


# --- in one process -----------------------------------------------------------------------------


def _embedded(topology: str | None, state: Path, max_age: float, *, as_json: bool) -> list[str]:
    """Show what runs with a state; gives what is wrong."""
    from ampelstream.errors import StateError
    from ampelstream.runtime.embedded.runstatus import faults, read_status, status_row
    from ampelstream.runtime.embedded.statefiles import found_files

    name = None if topology is None else _name(topology)
    files = [one for one in found_files(state) if name in {None, one.topology}]
    if not files:
        of = f"topology {name}" if name else "any topology"
        raise StateError(
            f"{state} holds no status of {of}: `ampelstream run` writes it there, in one process"
        )
    wrong: list[str] = []
    for one in files:
        found, running, now = read_status(one.status), one.in_use(), time.time()
        faulty = list(faults(found, running=running, now=now, max_age=max_age))
        if as_json:
            _write([status_row(found, running=running, now=now) | {"wrong": faulty}])
        else:
            _show_run(found, running=running, now=now)
        wrong.extend(f"{found.topology}: {text}" for text in faulty)
    return wrong


def _show_run(found: "RunStatus", *, running: bool, now: float) -> None:
    """The line that the process says, and what it has no room for."""
    from ampelstream.model.times import iso_from_unix, span
    from ampelstream.runtime.embedded.runstatus import status_line

    sys.stdout.write(status_line(found) + "\n")
    process = f"{found.pid}, {'running' if running else 'not running'}"
    rows: list[tuple[str, object]] = [
        ("topology", f"{found.topology}, version {found.version}, hash {found.hash}"),
        ("process", f"{process}, since {iso_from_unix(found.started)}"),
        ("last heartbeat", f"{span(now - found.heartbeat)} ago"),
        ("events known", found.events),
    ]
    rows += [
        ("" if number else f"not read: {found.skipped}", f"{one.name}: {one.reason}")
        for number, one in enumerate(found.first_skipped)
    ]
    rows += [
        (
            "dead letters" if not number else "",
            f"{one.count} by {one.step}: {one.error}: {one.reason}",
        )
        for number, one in enumerate(found.kinds[:5])
    ]
    _table(rows)


# --- on Kafka -----------------------------------------------------------------------------------


def _on_kafka(
    topology: str | None, broker: str, sources: Path | None, max_age: float, *, as_json: bool
) -> list[str]:
    """Show topologies of a cluster; gives what is wrong."""
    import asyncio

    from ampelstream.errors import ConfigError
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.sources import load_sources
    from ampelstream.runtime.kafka.topologystatus import (
        broker_faults,
        found_topologies,
        look_at,
        topology_row,
    )

    connection = connect(broker)
    spec = None if sources is None else load_sources(sources)
    if topology is not None:
        names = [_name(topology)]
    elif spec is not None:
        raise typer.BadParameter("the file of sources is of one topology; name it")
    else:
        names = asyncio.run(found_topologies(connection))
        if not names:
            raise ConfigError(f"{connection.describe()} has no topics of any topology")
    wrong: list[str] = []
    for name in names:
        found = asyncio.run(look_at(connection, TopicNames(name), spec, max_age=max_age))
        faulty = list(broker_faults(found, max_age))
        if as_json:
            _write([topology_row(found) | {"wrong": faulty}])
        else:
            _show_topology(found)
        wrong.extend(f"{name}: {text}" for text in faulty)
    return wrong


def _show_topology(found: "TopologyStatus") -> None:
    """The line, and the steps and topics one by one."""
    from ampelstream.model.times import iso_from_unix
    from ampelstream.runtime.kafka.topologystatus import topology_line

    def when(time: float | None) -> str:
        return iso_from_unix(time) if time else "-"

    sys.stdout.write(topology_line(found) + "\n")
    _table(
        [
            (_step(one), one.members, one.state, one.partitions, one.lag, when(one.last_commit))
            for one in found.steps
        ],
        ("step", "workers", "group", "partitions", "waiting", "last commit"),
    )
    _table(
        [(one.topic, one.partitions, one.records, when(one.last)) for one in found.topics.values()],
        ("topic", "partitions", "records", "last"),
    )


def _step(one: "StepStatus") -> str:
    return one.step if one.cluster is None else f"{one.step} ({one.cluster})"
