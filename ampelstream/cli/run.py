"""``ampelstream run``: the topology live, from directories in one process or on Kafka with many."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from ampelstream.cli.options import create_command, quiet_libraries, takes
from ampelstream.model.display import LINE, counted, printable
from ampelstream.runtime.settings import Engine, LogForm, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from ampelstream.model.localisation import MapAt
    from ampelstream.runtime.embedded.engine import Engine as Embedded
    from ampelstream.runtime.embedded.runstatus import RunStatus
    from ampelstream.sources import Source
    from ampelstream.sources.writerschemas import GivenSchemas

__all__ = ["run"]

WORKER_INDEX = "AMPELSTREAM_WORKER_INDEX"
"""Environment variable by which the supervisor numbers its workers."""
_TO_SAY_SO = 5.0
"""How long after its grace a worker is ended that did not stop [s]: by then it has said so, and
that what it had in hand is not to blame."""
_LOG = logging.getLogger(__name__)


@takes(WorkerSettings)  # each of its fields is an option of the command
def run(settings: WorkerSettings) -> None:
    """Match alerts and notices as they come, and send the topology's reactions.

    In one process, from directories: write files under another name and rename them into the
    directory when they are whole; names that begin with a dot are left alone. Without --alerts, in
    one process from the topics of --broker. A line a minute says how it goes (--report); from
    another terminal, `ampelstream status --state DIR` does.

    With --engine faust, on Kafka: make the topics first with `ampelstream topics create`. Workers
    share the work; start as many as you like, on as many machines.

    Stop with Ctrl-C or SIGTERM; started again, it goes on where it was. The file may have changed
    then: `ampelstream topology diff` says what follows.

    Example of each:
    ampelstream run kilonova --alerts incoming/ --notices notices/ --state state/

    ampelstream run kilonova --engine faust --broker localhost:9092 --workers 2 --state state/
    """
    index = os.environ.get(WORKER_INDEX)
    _set_up_logs(settings, index)
    if settings.engine is Engine.EMBEDDED:
        work = partial(_follow, settings)
    elif settings.workers > 1 and index is None:
        work = partial(_supervise, settings)
    else:
        work = partial(_work, settings, int(index or 0))
    raise typer.Exit(_ended(work))


def _ended(work: Callable[[], int]) -> int:
    """Do the work of this process; give its exit code, however it ends."""
    from ampelstream.runtime.service.endings import say_why

    try:
        return work()
    except BrokenPipeError:
        raise  # nobody reads what we say: `main` ends it in silence
    except Exception as error:  # noqa: BLE001  (the boundary of the process)
        return say_why(_LOG, error)


def _map_at(settings: WorkerSettings) -> "MapAt":
    """What gives the sky map at an address."""
    from ampelstream.model.localisation import no_map
    from ampelstream.runtime.mapfetch import MapFetcher

    return MapFetcher(settings.map_hosts).fetch if settings.fetch_maps else no_map


def _follow(settings: WorkerSettings) -> int:
    """Run embedded: one process that follows directories or topics; gives its exit code."""
    from contextlib import ExitStack

    from ampelstream.cli.workflow import open_topology
    from ampelstream.reactions.dispatch import Dispatcher
    from ampelstream.reactions.sinks import open_sinks
    from ampelstream.runtime.embedded.engine import Engine as Embedded
    from ampelstream.runtime.embedded.live import follow
    from ampelstream.runtime.embedded.reporter import Reporter
    from ampelstream.runtime.embedded.statefiles import StateFiles
    from ampelstream.runtime.service.allocator import collect_seldom, keep_memory
    from ampelstream.runtime.service.directorylock import make_directory
    from ampelstream.runtime.service.journal import Journals
    from ampelstream.runtime.statedirectory import embedded_database
    from ampelstream.runtime.unitpool import has_heavy, with_pool
    from ampelstream.state.rocks import RocksBackend

    keep_memory()
    _, topology = open_topology(settings.topology, settings.catalogs)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as open_things:
        schemas = _schemas(settings)
        open_inputs = partial(_inputs, settings, topology.name, open_things, schemas)
        inputs = open_inputs()
        files = StateFiles(settings.state, topology.name)
        database = embedded_database(settings.state, topology.name)
        make_directory(files.directory)
        backend = open_things.enter_context(RocksBackend(database))
        topology = open_things.enter_context(with_pool(topology, settings.pool_processes))
        embedded = Embedded(
            topology,
            backend,
            deliverer=Dispatcher(open_sinks(topology, settings.state)),
            word=settings.word,
            eager=False,
            forget=True,
            letter_file=files.dead_letters,
            # behind the database, which no second process opens
            journals=open_things.enter_context(Journals(files.in_hand)),
            at_once=settings.pool_processes if has_heavy(topology) else 1,
            map_at=_map_at(settings),
            schemas=schemas,
        )
        collect_seldom()
        _say_what_changed(settings, embedded)
        count = embedded.accounting.total
        before = {name: count(name) for name in ("dead_letters", "refiltered", "unjudged")}
        following = f"following {counted(len(inputs), 'input')}; Ctrl-C stops"
        _tell(settings, "started", following, inputs=len(inputs))
        reporter = Reporter(
            *(embedded, files, partial(_say, settings)),
            every=settings.report,
            once=settings.once,
            sources=inputs,
            check=backend.check,
        )
        beat = open_things.enter_context(reporter).beat
        unsent = follow(
            *(embedded, inputs, stop),
            poll_seconds=settings.poll,
            once=settings.once,
            beat=beat,
            reopen=open_inputs,
        )
    _say_what_was_done(settings, embedded, inputs, before)
    if unsent:
        still = counted(unsent, "reaction is", "reactions are")
        text = f"{still} still to be sent; the next start tries again"
        _tell(settings, "unsent", text, reactions=unsent)
    if unsent or (settings.once and embedded.backfill_waits):
        return 1
    fresh = count("dead_letters") - before["dead_letters"]
    if fresh:
        where = printable(files.dead_letters, LINE)
        text = f"{counted(fresh, 'dead letter is', 'dead letters are')} of this run, in {where}"
        _tell(settings, "dead_letters", text, records=fresh, file=where)
    return 3 if fresh else 0


def _say_what_changed(settings: WorkerSettings, embedded: "Embedded") -> None:
    """Say how the topology differs from that of the last run, and that a word was not needed."""
    from ampelstream.topology.differences import in_words

    for line in in_words(embedded.objects.changes, settings.word):
        _tell(settings, "changed", f"changed: {line}")
    if embedded.word_is_unused:
        text = (
            f"--{settings.word} changes nothing: no difference asks for a word. To judge "
            "earlier alerts after all, start a file that differs in a filter, or in a channel"
        )
        _tell(settings, "word_unused", text, word=str(settings.word))


def _say_what_was_done(
    settings: WorkerSettings,
    embedded: "Embedded",
    inputs: "Sequence[Source]",
    before: "Mapping[str, int]",
) -> None:
    """Say at the end what the state holds, what was read again in this run, and what was not."""
    import msgspec

    from ampelstream.cli.replay import skipped_lines
    from ampelstream.runtime.embedded.reporter import counts_of
    from ampelstream.runtime.embedded.summary import skipped_rows

    count, counts = embedded.accounting.total, counts_of(embedded.accounting)
    _tell(
        settings,
        "stopped",
        f"alerts: {count('received', 'alerts')} in, {count('accepted')} accepted, "
        f"{count('rejected_by_all')} rejected, {count('known', 'alerts')} known; "
        f"notices: {count('received', 'notices')} in, {count('revised')} new; "
        f"{counted(counts.sent, 'reaction')} sent; {counted(count('dead_letters'), 'dead letter')}",
        **msgspec.to_builtins(counts),
    )
    _say_of_backfill(settings, embedded, before)
    for line in skipped_lines(skipped_rows([one for source in inputs for one in source.skipped])):
        _tell(settings, "skipped", line)


def _say_of_backfill(
    settings: WorkerSettings, embedded: "Embedded", before: "Mapping[str, int]"
) -> None:
    """Say what a run did of a backfill, and what is left of it."""
    again, unjudged = (
        embedded.accounting.total(name) - before[name] for name in ("refiltered", "unjudged")
    )
    if again:
        alerts = counted(again, "earlier alert was", "earlier alerts were")
        line = f"backfill: {alerts} read again in this run"
        if unjudged:
            line = f"{line}, {unjudged} of them could not be judged anew"
        _tell(settings, "refiltered", line, alerts=again, unjudged=unjudged)
    if embedded.objects.awaits_backfill:
        why = embedded.backfill_waits
        rest = f": {printable(why, LINE)}" if why else ""
        text = f"the backfill is not done, and the next start goes on with it{rest}"
        _tell(settings, "backfill_not_done", text, waits=why)


def _tell(settings: WorkerSettings, event: str, line: str, **facts: Any) -> None:
    """Say something to people; in a log of JSON as an incident, with its facts."""
    from ampelstream.runtime.service.log import incident

    if settings.log is LogForm.JSON:
        incident(_LOG, logging.INFO, event, line, **facts)
    else:
        typer.echo(line, err=True)


def _say(settings: WorkerSettings, status: "RunStatus") -> None:
    """Say how it goes; where nobody reads it any more, the work goes on."""
    from ampelstream.runtime.embedded.runstatus import status_line, status_row, status_text

    with suppress(OSError):
        if settings.log is LogForm.JSON:  # whose lines say when it was
            facts = status_row(status, running=True, now=status.heartbeat)
            _tell(settings, "work", status_text(status), **facts)
        else:
            _tell(settings, "work", status_line(status))


def _schemas(settings: WorkerSettings) -> "GivenSchemas | None":
    """Writer schemas that were given; where topics are followed, also by the file of sources."""
    from ampelstream.cli.workflow import given_schemas
    from ampelstream.runtime.kafka.schemas import open_registry
    from ampelstream.runtime.kafka.sources import load_sources
    from ampelstream.sources.writerschemas import RegistrySchemas

    of_topics = settings.sources if not settings.alerts else None
    registry = load_sources(of_topics).registry if of_topics else None
    if settings.schemas is None and registry is not None:
        return RegistrySchemas(open_registry(registry, settings.state, settings.park))
    if registry is not None:
        text = f"schemas are those of --schemas: the registry of {of_topics} is not used"
        _tell(settings, "not_used", text)
    return given_schemas(settings.schemas, settings.state)


def _inputs(
    settings: WorkerSettings,
    topology: str,
    open_things: "ExitStack",
    schemas: "GivenSchemas | None",
) -> "Sequence[Source]":
    """Open directories where any are named, topics otherwise."""
    from ampelstream.cli.workflow import open_inputs

    if settings.alerts:
        if settings.broker and settings.broker != os.environ.get("AMPELSTREAM_BROKER"):
            text = "following directories: --broker is not used beside --alerts"
            _tell(settings, "not_used", text)
        if settings.sources:
            text = "following directories: --sources is not used beside --alerts"
            _tell(settings, "not_used", text)
        return open_inputs(settings.alerts, settings.notices, schemas)
    from ampelstream.runtime.kafka.names import TopicNames
    from ampelstream.runtime.kafka.sources import default_sources, load_connection, load_sources
    from ampelstream.runtime.kafka.topicsource import open_topics

    quiet_libraries()
    connection = load_connection(settings.broker or "")
    chosen = settings.sources
    sources = load_sources(chosen) if chosen else default_sources(TopicNames(topology))
    topics = open_topics(connection, sources)
    for one in topics:
        open_things.callback(one.close)
    return topics if schemas is None else [schemas.around(one) for one in topics]


def _set_up_logs(settings: WorkerSettings, index: str | None) -> None:
    """Bring the log into its form, and keep libraries from flooding it."""
    from ampelstream.runtime.service.libraries import LibraryFilter
    from ampelstream.runtime.service.log import set_up_log

    faust = settings.engine is Engine.FAUST
    as_json = settings.log is LogForm.JSON
    supervisor = faust and settings.workers > 1 and index is None
    worker = int(index or 0) if faust and not supervisor else None
    who = "supervisor" if supervisor else "embedded" if worker is None else f"worker-{worker}"
    handler = set_up_log(
        who,
        worker=worker,
        as_json=as_json,
        # the embedded engine also talks to a person, in lines of its own
        takes_stderr=faust or as_json,
        level=logging.getLogger().level,
    )
    quiet_libraries()
    handler.addFilter(LibraryFilter())


def _supervise(settings: WorkerSettings) -> int:
    """Start this command once for each worker, with its index."""
    from ampelstream.runtime.service.supervisor import Supervisor

    def command(index: int) -> list[str]:
        start = "from ampelstream.cli.main import main; main()"
        # -P: like the installed command, a worker imports nothing from the current directory
        python = [sys.executable, "-P", "-c", start]
        return ["env", f"{WORKER_INDEX}={index}", *python, *sys.argv[1:]]

    return Supervisor(command, settings.workers, grace=settings.grace + _TO_SAY_SO).run()


def _work(settings: WorkerSettings, index: int) -> int:
    """Be one worker; gives its exit code."""
    import asyncio

    from ampelstream.runtime.service.allocator import keep_memory
    from ampelstream.runtime.service.child import end_with_parent
    from ampelstream.runtime.service.endings import say_why

    keep_memory()
    end_with_parent(settings.grace + _TO_SAY_SO)

    async def work() -> "asyncio.Task[int]":
        task = asyncio.create_task(_worker(settings, index))
        await asyncio.wait({task})
        # all that is left is to end: a signal that comes now must not make a death of it
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        return task

    task = asyncio.run(work())
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    return task.result() if error is None else say_why(_LOG, error)


async def _worker(settings: WorkerSettings, index: int) -> int:
    """Open the topology, bring it into force, and run one worker until it is stopped."""
    from functools import partial

    from ampelstream.cli.workflow import open_topology
    from ampelstream.runtime.context import open_context
    from ampelstream.runtime.faust.start import begin
    from ampelstream.runtime.faust.worker import Worker
    from ampelstream.runtime.kafka.names import OBJECTS, TopicNames
    from ampelstream.runtime.safefaust.versions import check_versions
    from ampelstream.runtime.service.allocator import collect_seldom
    from ampelstream.runtime.service.exitcodes import ExitCode

    check_versions()
    evaluates = OBJECTS in settings.steps
    spec, topology = open_topology(settings.topology, settings.catalogs, evaluates=evaluates)
    names = TopicNames(topology.name)
    create = create_command(settings.topology, settings.broker or "")
    said = spec.kafka.said_partitions
    ask = partial(open_context, settings, index, names, create=create, partitions=said)
    begun = await begin(topology, settings, index, ask)
    if begun is None:
        return ExitCode.DONE
    worker = Worker(topology, *begun)
    collect_seldom()
    return await worker.run()
