"""``ampelstream run --engine faust``: one worker, or a supervisor of several."""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from ampelstream.model.display import printable_lines

__all__ = ["FaustOptions", "run_faust"]

WORKER_INDEX = "AMPELSTREAM_WORKER_INDEX"
"""Environment variable by which the supervisor numbers its workers."""
_LOUD = ("faust", "mode", "aiokafka", "kafka")


@dataclass(frozen=True, slots=True)
class FaustOptions:
    """Options of the command line; see ``ampelstream run --help``."""

    topology: str
    state: Path
    catalogs: Path | None
    broker: str
    sources: Path | None
    steps: str
    workers: int
    host: str
    port: int
    advertise: str | None
    instance: str | None
    stuck_after: float
    no_commit_after: float
    grace: float
    session: float
    produce_timeout: float
    park: float
    refresh: float
    json_log: bool


def run_faust(options: FaustOptions) -> None:
    """Run one worker, or as many as were asked for."""
    from ampelstream.runtime.service.incidents import log_as_json
    from ampelstream.runtime.service.repeats import RepeatFilter

    if options.json_log:
        log_as_json()
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RepeatFilter())
    steps = _steps(options.steps)
    index = os.environ.get(WORKER_INDEX)
    if options.workers > 1 and index is None:
        raise typer.Exit(_supervise(options))
    raise typer.Exit(_work(options, steps, int(index or 0)))


def _steps(text: str) -> frozenset[str]:
    from ampelstream.runtime.faust.config import STEPS

    steps = frozenset(part.strip() for part in text.split(",") if part.strip())
    strange = sorted(steps - set(STEPS))
    if strange or not steps:
        raise typer.BadParameter(
            f"there is no step {', '.join(strange) or '(none given)'}; steps are {', '.join(STEPS)}"
        )
    return steps


def _supervise(options: FaustOptions) -> int:
    """Start this command once for each worker, with its index."""
    from ampelstream.runtime.workers import Supervisor

    def command(index: int) -> list[str]:
        start = "from ampelstream.cli.app import main; main()"
        return ["env", f"{WORKER_INDEX}={index}", sys.executable, "-c", start, *sys.argv[1:]]

    # a worker that is killed for not stopping is given some seconds to say so first
    return Supervisor(command, options.workers, grace=options.grace + 5.0).run()


def _work(options: FaustOptions, steps: frozenset[str], index: int) -> int:
    import asyncio

    from ampelstream.errors import AmpelstreamError, ConfigError
    from ampelstream.runtime.service.exitcodes import ExitCode
    from ampelstream.runtime.workers import end_with_parent

    end_with_parent(options.grace)
    try:
        return asyncio.run(_worker(options, steps, index))
    except AmpelstreamError as error:
        typer.echo(f"error: {printable_lines(error, indent='  ')}", err=True)
        # a code of its own, so that a supervisor does not start again what ends the same way
        wrong = isinstance(error, ConfigError)
        return ExitCode.CONFIGURATION if wrong else ExitCode.FAILED


async def _worker(options: FaustOptions, steps: frozenset[str], index: int) -> int:
    from ampelstream.cli.kafka_options import connect, create_command
    from ampelstream.cli.workflow import open_topology
    from ampelstream.runtime.faust.config import WorkerSettings
    from ampelstream.runtime.faust.settings import GroupTimes
    from ampelstream.runtime.faust.versions import check_versions
    from ampelstream.runtime.faust.worker import Worker
    from ampelstream.runtime.kafka.admin import verify
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.sources import default_sources, load_sources

    check_versions()
    _, topology = open_topology(options.topology, options.catalogs)
    names = TopicNames(topology.name)
    connection = connect(options.broker)
    sources = load_sources(options.sources) if options.sources else default_sources(names)
    mend = create_command(options.topology, options.broker)
    partitions = await verify(connection, names, sources, mend=mend)
    settings = WorkerSettings(
        connection=connection,
        sources=sources,
        steps=steps,
        state=options.state,
        directory=options.state / f"worker-{index}",
        partitions=partitions,
        host=options.host,
        port=options.port + index if options.port else 0,
        advertise=options.advertise,
        instance=options.instance and f"{options.instance}-{index}",
        times=GroupTimes(session=options.session, heartbeat=min(3.0, options.session / 4)),
        stuck_seconds=options.stuck_after,
        no_commit_seconds=options.no_commit_after,
        grace_seconds=options.grace,
        produce_seconds=options.produce_timeout,
        park_seconds=options.park,
        refresh_seconds=options.refresh,
    )
    return await Worker(topology, settings).run()
