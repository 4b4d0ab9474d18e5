"""``ampelstream run``: the topology live, from directories in one process or on Kafka with many."""

import signal
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ampelstream.cli.kafka_options import BROKER

__all__ = ["Engine", "run"]


class Engine(StrEnum):
    """What carries the records."""

    EMBEDDED = "embedded"
    FAUST = "faust"


class LogForm(StrEnum):
    """How incidents are written."""

    TEXT = "text"
    JSON = "json"


_EMBEDDED, _KAFKA = "Directories (--engine embedded)", "Kafka (--engine faust)"


def run(
    topology: Annotated[str, typer.Argument(help="Topology file, or the name of a shipped one.")],
    state: Annotated[Path, typer.Option(help="Directory of the state; kept between runs.")],
    engine: Annotated[
        Engine, typer.Option(help="embedded: one process, directories; faust: Kafka.")
    ] = Engine.EMBEDDED,
    catalogs: Annotated[Path | None, typer.Option(help="Directory of the catalogues.")] = None,
    alerts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Directory of alerts to follow; may be repeated.", rich_help_panel=_EMBEDDED
        ),
    ] = None,
    notices: Annotated[
        list[Path] | None,
        typer.Option(
            help="Directory of notices to follow; may be repeated.", rich_help_panel=_EMBEDDED
        ),
    ] = None,
    poll: Annotated[
        float, typer.Option(min=0.05, help="Seconds between looks.", rich_help_panel=_EMBEDDED)
    ] = 1.0,
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help="End when nothing new is there.", rich_help_panel=_EMBEDDED),
    ] = False,
    broker: Annotated[
        str | None,
        typer.Option(
            envvar=BROKER,
            metavar="ADDRESS|FILE",
            help="Our own cluster: host:port, or a YAML file with a connection.",
            rich_help_panel=_KAFKA,
        ),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of clusters and topics that are read; without it, our own topics "
            "ampel.NAME.alerts and ampel.NAME.notices.",
            rich_help_panel=_KAFKA,
        ),
    ] = None,
    steps: Annotated[
        str,
        typer.Option(help="Steps that this worker runs, with commas.", rich_help_panel=_KAFKA),
    ] = "ingest,objects,react",
    workers: Annotated[
        int,
        typer.Option(
            min=1, help="Worker processes; a dead one is started again.", rich_help_panel=_KAFKA
        ),
    ] = 1,
    host: Annotated[
        str, typer.Option(help="Address of the probes and queries.", rich_help_panel=_KAFKA)
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, help="Port of the first worker; 0 takes any.", rich_help_panel=_KAFKA),
    ] = 6066,
    advertise: Annotated[
        str | None,
        typer.Option(
            envvar="AMPELSTREAM_ADVERTISE",
            help="Host under which other workers reach this one, if not that of --host.",
            rich_help_panel=_KAFKA,
        ),
    ] = None,
    instance_id: Annotated[
        str | None,
        typer.Option(
            envvar="AMPELSTREAM_INSTANCE_ID",
            help="Static name in the consumer groups, such as the name of a pod.",
            rich_help_panel=_KAFKA,
        ),
    ] = None,
    stuck_after: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds after which a stuck worker is ended.", rich_help_panel=_KAFKA
        ),
    ] = 60.0,
    no_commit_after: Annotated[
        float,
        typer.Option(
            min=10,
            help="Seconds that records may wait without a commit.",
            rich_help_panel=_KAFKA,
        ),
    ] = 120.0,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds for an orderly stop.", rich_help_panel=_KAFKA),
    ] = 25.0,
    session: Annotated[
        float,
        typer.Option(
            min=6,
            help="Seconds without a heartbeat after which a worker's partitions go to others.",
            rich_help_panel=_KAFKA,
        ),
    ] = 12.0,
    produce_timeout: Annotated[
        float,
        typer.Option(
            min=1,
            help="Seconds until a record that no broker takes ends the worker.",
            rich_help_panel=_KAFKA,
        ),
    ] = 30.0,
    park: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Seconds between tries of a record of unknown schema.",
            rich_help_panel=_KAFKA,
        ),
    ] = 60.0,
    refresh: Annotated[
        float,
        typer.Option(
            min=1,
            help="Seconds between looks for new topics of a pattern.",
            rich_help_panel=_KAFKA,
        ),
    ] = 30.0,
    log: Annotated[
        LogForm, typer.Option(help="Form of the log on stderr.", rich_help_panel=_KAFKA)
    ] = LogForm.TEXT,
) -> None:
    """Match alerts and notices as they come, and send the topology's reactions.

    From directories, in one process: write files under another name and rename them into the
    directory when they are whole; names that begin with a dot are left alone.

    On Kafka: make the topics first with `ampelstream topics create`. Workers share the work; start
    as many as you like, on as many machines.

    Stop with Ctrl-C or SIGTERM; started again, it goes on where it was.

    Example of each:
    ampelstream run kilonova --alerts incoming/ --notices notices/ --state state/

    ampelstream run kilonova --engine faust --broker localhost:9092 --workers 2 --state state/
    """
    if engine is Engine.EMBEDDED:
        if not alerts:
            raise typer.BadParameter("the embedded engine follows directories; give --alerts")
        _follow(topology, state, catalogs, alerts, notices or [], poll, once=once)
        return
    if not broker:
        raise typer.BadParameter(f"the faust engine needs --broker, or {BROKER}")
    if alerts or notices or once:
        raise typer.BadParameter(
            "the faust engine reads topics: --alerts, --notices and --once are for the embedded "
            "one; see `ampelstream topics load` to bring files in"
        )
    from ampelstream.cli.run_faust import FaustOptions, run_faust

    run_faust(
        FaustOptions(
            topology=topology,
            state=state,
            catalogs=catalogs,
            broker=broker,
            sources=sources,
            steps=steps,
            workers=workers,
            host=host,
            port=port,
            advertise=advertise,
            instance=instance_id,
            stuck_after=stuck_after,
            no_commit_after=no_commit_after,
            grace=grace,
            session=session,
            produce_timeout=produce_timeout,
            park=park,
            refresh=refresh,
            json_log=log is LogForm.JSON,
        )
    )


def _follow(
    topology: str,
    state: Path,
    catalogs: Path | None,
    alerts: list[Path],
    notices: list[Path],
    poll: float,
    *,
    once: bool,
) -> None:
    """Run embedded: one process that follows directories."""
    from ampelstream.cli.replay import skipped_lines
    from ampelstream.cli.workflow import open_inputs, open_topology
    from ampelstream.runtime.dispatch import Dispatcher
    from ampelstream.runtime.embedded.engine import Engine as Embedded
    from ampelstream.runtime.embedded.identity import claim
    from ampelstream.runtime.embedded.live import follow
    from ampelstream.runtime.embedded.summary import skipped_rows
    from ampelstream.runtime.sinks import open_sinks
    from ampelstream.state.rocks import RocksBackend

    _, built = open_topology(topology, catalogs)
    inputs = open_inputs(alerts, notices)
    backend = RocksBackend(state / "rocks")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        claim(backend, built)
        embedded = Embedded(built, backend, dispatcher=Dispatcher(open_sinks(built, state)))
        typer.echo(f"following {len(inputs)} inputs; Ctrl-C stops", err=True)
        unsent = follow(embedded, inputs, stop, poll_seconds=poll, once=once)
    finally:
        backend.close()
    skipped = [one for source in inputs for one in source.skipped]
    for line in skipped_lines(skipped_rows(skipped)):
        typer.echo(line, err=True)
    counts = embedded.counters
    typer.echo(
        f"alerts: {counts.alerts.records_in} in, {counts.alerts.accepted} accepted, "
        f"{counts.alerts.dead_letters} dead letters; notices: {counts.notices.records_in} in, "
        f"{counts.notices.dead_letters} dead letters",
        err=True,
    )
    if unsent:
        typer.echo(f"{unsent} reactions are still to be sent; the next start tries again", err=True)
        raise typer.Exit(1)
    if counts.alerts.dead_letters or counts.notices.dead_letters:
        raise typer.Exit(3)
