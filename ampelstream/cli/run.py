"""``ampelstream run``: follow directories of alerts and notices, and react."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    topology: Annotated[str, typer.Argument(help="Topology file, or the name of a shipped one.")],
    alerts: Annotated[
        list[Path], typer.Option(help="Directory of alerts to follow; may be repeated.")
    ],
    state: Annotated[Path, typer.Option(help="Directory of the state; kept between runs.")],
    notices: Annotated[
        list[Path] | None, typer.Option(help="Directory of notices to follow; may be repeated.")
    ] = None,
    catalogs: Annotated[Path | None, typer.Option(help="Directory of the catalogues.")] = None,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")] = 1.0,
    *,
    once: Annotated[bool, typer.Option("--once", help="End when nothing new is there.")] = False,
) -> None:
    """Match alerts and notices as their files appear, and send the topology's reactions.

    Write files under another name and rename them into the directory when they are whole: names
    that begin with a dot are left alone. Stop with Ctrl-C or SIGTERM; started again, it goes on
    where it was.

    Example: ampelstream run kilonova --alerts incoming/ --notices notices/ --state state/
    """
    from ampelstream.cli.workflow import open_inputs, open_topology
    from ampelstream.runtime.dispatch import Dispatcher
    from ampelstream.runtime.embedded.engine import Engine
    from ampelstream.runtime.embedded.identity import claim
    from ampelstream.runtime.embedded.live import follow
    from ampelstream.runtime.sinks import open_sinks
    from ampelstream.state.rocks import RocksBackend

    _, built = open_topology(topology, catalogs)
    sources = open_inputs(alerts, notices or [])
    backend = RocksBackend(state / "rocks")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        claim(backend, built)
        sinks = open_sinks(built, state)
        engine = Engine(built, backend, dispatcher=Dispatcher(sinks))
        typer.echo(f"following {len(sources)} inputs; Ctrl-C stops", err=True)
        unsent = follow(engine, sources, stop, poll_seconds=poll, once=once)
    finally:
        backend.close()
    counts = engine.counters
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
