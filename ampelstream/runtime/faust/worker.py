"""A worker: it starts the applications of its steps, watches them, and stops them in order.

`ampelstream run --engine faust` (``cli/run.py``) makes one `Worker` in each process and awaits its
`run`. The work on records is not here: ``app.py`` has an application for each step, and Faust calls
its agent.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.admission import LOOK_SECONDS, Admission
from ampelstream.runtime.faust.app import Shared, ingest_app, objects_app, react_app
from ampelstream.runtime.faust.backfilling import Pace, all_read, rereads
from ampelstream.runtime.faust.changedtopics import remedies
from ampelstream.runtime.faust.clusters import Clusters
from ampelstream.runtime.faust.inputs import PARKED, Input, inputs_of
from ampelstream.runtime.faust.parking import parked_app
from ampelstream.runtime.faust.queries import StateQueries
from ampelstream.runtime.faust.running import RunningApp
from ampelstream.runtime.faust.watching import Watching
from ampelstream.runtime.kafka.admin import needed_topics
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.kafka.topologylog import BackfillPlan
from ampelstream.runtime.safefaust.failures import LostRecords
from ampelstream.runtime.safefaust.lagwatch import LagWatch
from ampelstream.runtime.safefaust.outbox import Outbox
from ampelstream.runtime.safefaust.topicids import topic_ids
from ampelstream.runtime.safefaust.topicwatch import TopicWatch
from ampelstream.runtime.service.endings import code_of, say_why
from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.journal import Journals
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.service.minutes import Minutes
from ampelstream.runtime.service.server import Answer, Server
from ampelstream.runtime.service.watchdog import Watchdog
from ampelstream.runtime.settings import INGEST, create_command
from ampelstream.runtime.statedirectory import in_hand_directory
from ampelstream.runtime.unitpool import UnitPool, has_heavy, in_production
from ampelstream.topology import Topology

__all__ = ["Worker"]

_LOG = logging.getLogger(__name__)
_MINUTE_SECONDS = 60.0
_LAST_SECONDS = 10.0
"""How long a process may take to end when all is committed, before it is ended [s]."""


class Worker:
    """Runs until a signal stops it, or until a failure ends it.

    It does not repair itself. Whatever goes wrong ends the process, as a kill would, and a new one
    goes on where the last commit was: the one path of recovery is the one that is proved.

    Parameters
    ----------
    topology
        The workflow.
    context
        Where and what.
    admission
        Says when it may begin, and when it has to stop since another topology is in force.
    exit_process
        Ends the process at once.
    """

    def __init__(
        self,
        topology: Topology,
        context: WorkerContext,
        admission: Admission,
        *,
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._exit = exit_process
        self._context = context
        self._admission = admission
        self._settings = context.settings
        self._names = TopicNames(topology.name)
        self._accounting = Accounting()
        self._metrics = Metrics(self._accounting)
        self._health = Health(
            stuck_after=self._settings.stuck_after, no_commit_after=self._settings.no_commit_after
        )
        self._metrics.topology(topology.name, topology.version, topology.hash)
        self._watching = Watching(self._metrics, self._health)
        self._minutes = Minutes(self._accounting)
        self._clusters = Clusters((), self._health.no_broker_after)
        self._is_ready = False
        self._journals = Journals(in_hand_directory(context.settings.state, topology.name))
        self._moved = self._health.pulse(OBJECTS)
        self._pool = UnitPool(self._settings.pool_processes, moved=self._moved)
        # the same topology; its units are timed, and those that compute long run in the pool
        self._topology = in_production(topology, self._pool, self._computed)
        self._stop, self._ended = asyncio.Event(), asyncio.Event()
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._apps: list[RunningApp] = []
        self._queries = _LateQueries()
        self._superseded = False

    async def run(self) -> int:
        """Work until SIGTERM, SIGINT or a failure; give the exit code.

        After a failure the process ends here: what is left of it could still commit.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        Watchdog(self._health, exit_process=self._hung).start()
        self._begin("heartbeat", self._beat())
        server = Server(
            self._health,
            self._metrics,
            self._queries,
            host=self._settings.host,
            port=self._context.port,
        )
        url = self._context.url(await server.start())
        # behind what fails where a port is in use: a producer that nobody closes complains
        options = self._context.connection.client_options()
        outbox = Outbox(options, request_timeout_seconds=self._settings.produce_timeout)
        self._begin("start", self._start(outbox, url), may_end=True)
        stopping = [asyncio.create_task(one.wait()) for one in (self._stop, self._ended)]
        await asyncio.wait(stopping, return_when=asyncio.FIRST_COMPLETED)
        if not self._stop.is_set():
            self._minutes.say()
            code = self._failed()
            self._pool.close()
            logging.shutdown()
            self._exit(code)
            return code
        incident(_LOG, logging.INFO, "stopping", "what is in hand is finished first")
        for task, what in self._tasks.items():
            if what in {"start", "backfill"}:  # which would start what nobody stops
                task.cancel()
        code = await self._end(outbox, server)
        if code:  # what hangs would keep the interpreter from ending, too
            logging.shutdown()
            self._exit(code)
        code = ExitCode.SUPERSEDED if self._superseded else code
        last = threading.Timer(_LAST_SECONDS, self._exit, (code,))
        last.daemon = True
        last.start()
        return code

    async def _start(self, outbox: Outbox, url: str) -> None:
        """Wait until the topology is in force, and start the applications of the steps."""
        await outbox.start()
        accepted = await self._admission.alone()
        shared = Shared(
            topology=self._topology,
            names=self._names,
            context=self._context,
            url=url,
            outbox=outbox,
            observer=self._watching,
            accounting=self._accounting,
            backfill=accepted.backfill,
            journals=self._journals,
            at_once=self._pool.processes if has_heavy(self._topology) else 1,
        )
        self._make_apps(shared)
        self._clusters = Clusters(
            ((app.name, app.connection.describe()) for app in self._apps),
            self._health.no_broker_after,
        )
        for app in self._apps:
            self._health.expect(app.name)
            self._begin(app.name, app.run())
            self._begin(f"{app.name}-lag", self._lag_of(app).run())
        self._begin("topics", self._topics())
        self._begin("minutes", self._say_each_minute())
        self._begin("topology", self._watch_topology(), may_end=True)
        plan, alerts = accepted.backfill, self._admission.alerts
        if alerts is not None and plan is not None and not plan.done:
            self._begin("backfill", self._backfill(shared, alerts, plan), may_end=True)
        facts = {"steps": list(self._settings.steps), "partitions": self._context.partitions}
        incident(_LOG, logging.INFO, "started", f"worker answers at {url}", **facts)

    def _lag_of(self, app: RunningApp) -> LagWatch:
        options, ours = app.connection.client_options, app.connection is self._context.connection
        return LagWatch(app.name, options, app.group, app.assigned, self._watching, ours=ours)

    async def _watch_topology(self) -> None:
        """Stop when another topology comes into force."""
        while not await self._admission.is_superseded():  # noqa: ASYNC110  (brokers are asked)
            await asyncio.sleep(LOOK_SECONDS)
        # all at once: who stops while groups are rebalanced for others is missed by the brokers,
        # and counts as a member until its session is over
        await asyncio.sleep(self._admission.until_all_stop())
        text = "another topology file is in force now: this worker stops"
        incident(_LOG, logging.INFO, "superseded", text)
        self._superseded = True
        self._stop.set()

    async def _backfill(self, shared: Shared, alerts: Sequence[Input], plan: BackfillPlan) -> None:
        """Read earlier alerts again, for filters that have changed, until all have been."""
        parts = await rereads(alerts, plan)
        pace = Pace(self._context.connection, self._names)
        apps = [
            RunningApp(
                part.source.name,
                ingest_app(shared, part.source, part.until, pace.wait),
                part.source.connection,
                self._watching,
            )
            for part in parts
        ]
        self._apps += apps
        done = asyncio.Event()
        for app in apps:
            # one that waits for its cluster would join its group when nobody looks any longer
            self._begin(app.name, _until(done, app.run()), may_end=True)
            watch = _until(done, self._lag_of(app).run())
            self._begin(f"{app.name}-lag", watch, may_end=True)
        try:
            await all_read(shared, parts, plan, partial(self._admission.goes_on, plan.id))
            await self._admission.note_backfilled(plan.id)
            done.set()
            for app in apps:
                self._apps.remove(app)
                await app.stop()
                self._watching.forget(app.name)
        finally:
            await pace.close()

    async def _topics(self) -> None:
        """Watch whether the topics stay what they are."""
        context = self._context
        expected = {
            one.name: context.partitions if one.together else None
            for one in needed_topics(self._names, context.sources)
        }

        async def ids() -> Mapping[str, str]:
            return (await topic_ids(context.connection.client_options(), expected)).ids

        options = context.connection.client_options
        settings = self._settings
        create = create_command(settings.topology, settings.broker or "", context.partitions)
        await TopicWatch(options, expected, remedies(self._names, create), ids=ids).run()

    async def _say_each_minute(self) -> None:
        """Log once a minute what was done."""
        while True:
            await asyncio.sleep(_MINUTE_SECONDS)
            self._minutes.say()

    def _make_apps(self, shared: Shared) -> None:
        """Make the applications of the steps that this worker runs."""
        own, steps = self._context.connection, self._settings.steps
        if INGEST in steps:
            for one in inputs_of(self._names, self._context):
                app = parked_app(shared, one) if one.parked else ingest_app(shared, one)
                self._apps.append(RunningApp(one.name, app, one.connection, self._watching))
        if OBJECTS in steps:
            objects = RunningApp(OBJECTS, objects_app(shared), own, self._watching)
            self._apps.append(objects)
            partitions = self._context.partitions
            self._queries.queries = StateQueries(self._topology, objects, shared.url, partitions)
        if REACT in steps:
            self._apps.append(RunningApp(REACT, react_app(shared), own, self._watching))

    def _begin(self, what: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> None:
        """Run something beside the rest; that it fails, or ends unless it may, ends the worker."""
        task = asyncio.create_task(_and_then_nothing(work) if may_end else work, name=what)
        self._tasks[task] = what
        task.add_done_callback(lambda _task: self._ended.set())

    async def _beat(self) -> None:
        """Report once a second that the event loop runs, and what is restored, moved or pending.

        A process that was frozen for so long that its groups have given its partitions away must
        not go on with what it had in hand.
        """
        times = self._settings.times
        last = time.monotonic()
        while True:
            now = time.monotonic()
            if now - last > times.session - times.heartbeat:
                self._journals.ending({})
                text = "this process was frozen, and others may have its partitions; it ends"
                incident(_LOG, logging.ERROR, "frozen", text, seconds=round(now - last, 1))
                self._exit(ExitCode.HUNG)
            last = now
            self._health.beat()
            for app in self._apps:
                if not app.coordinates and not self._stop.is_set():
                    raise LostRecords(f"{app.name}: its consumer has left its group for good")
                self._health.rebalancing(app.name, app.rebalancing)
            self._measure()
            self._say_whether_ready()
            await asyncio.sleep(1.0)

    def _measure(self) -> None:
        """Set the gauges of the steps."""
        silent = self._health.silent()
        self._clusters.look(silent)
        for app in self._apps:
            self._metrics.step(
                app.name,
                ready=self._health.is_ready(app.name),
                silent=silent.get(app.name, 0.0),
                partitions=len(app.assigned()),
                inbox=app.fetched,
            )
            if app.name == OBJECTS:
                self._metrics.sweeps_pending(app.pending)
                reached = [one.watermark for one in app.processors]
                self._metrics.watermark(max((jd for jd in reached if jd is not None), default=None))
            elif app.name == REACT:
                self._metrics.unsent(app.pending)
            elif app.name == PARKED:
                self._metrics.parked(app.waiting)

    def _say_whether_ready(self) -> None:
        """Log when the worker becomes ready, and when it is so no longer."""
        reasons = [] if self._stop.is_set() else self._health.ready()
        if self._stop.is_set() or self._is_ready == (not reasons):
            return
        self._is_ready = not reasons
        if self._is_ready:
            incident(_LOG, logging.INFO, "ready", "every step has its state, and reads")
        else:
            incident(_LOG, logging.INFO, "not_ready", "for now", reasons=reasons)

    def _computed(self, unit: str, seconds: float) -> None:
        """A unit has computed."""
        self._moved()
        self._metrics.unit_seconds(unit, seconds)

    def _hung(self, code: int) -> None:
        """End the process for what hangs in it; called by the watchdog."""
        self._journals.ending(
            {reason.partition(":")[0].partition("/")[0]: reason for reason in self._health.alive()}
        )
        self._exit(code)

    def _failed(self) -> int:
        """Say what ended, and give its exit code."""
        for task, what in self._tasks.items():
            if not task.done():
                continue
            # one that was cancelled inside would raise here, and end the process in order
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            # a defect of ours may be the doing of what the step has in hand, a known error is not
            unforeseen = code_of(error) is ExitCode.CRASHED or isinstance(error, MemoryError)
            self._journals.ending({what: repr(error)} if unforeseen else {})
            return say_why(_LOG, error, step=what)
        return say_why(_LOG, None)

    async def _end(self, outbox: Outbox, server: Server) -> int:
        """Finish what is in hand, commit, leave the groups; within the grace."""
        try:
            async with asyncio.timeout(self._settings.grace):
                # at once: one whose cluster is away waits to commit, and must hold up no other
                await asyncio.gather(*(app.stop() for app in self._apps))
                await outbox.stop()
                await server.stop()
        except TimeoutError:
            self._journals.ending({})
            text = "not stopped in time; what is not committed is done again by the next start"
            incident(_LOG, logging.ERROR, "not_stopped", text, grace_s=self._settings.grace)
            return ExitCode.FAILED
        self._pool.close()
        self._minutes.say()
        incident(_LOG, logging.INFO, "stopped", "everything in hand is committed")
        return ExitCode.DONE


async def _until(done: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do it until then; that it fails before is passed on."""
    tasks = asyncio.ensure_future(work), asyncio.ensure_future(done.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()


async def _and_then_nothing(work: Coroutine[Any, Any, None]) -> None:
    """Do it, and wait for ever."""
    await work
    await asyncio.Event().wait()


class _LateQueries:
    """What the server asks; it starts before the objects step, which has to know its address."""

    queries: StateQueries | None = None

    async def object(self, object_id: str) -> Answer:
        if self.queries is None:
            return Answer(404, {"error": "this worker does not run the objects step"})
        return await self.queries.object(object_id)

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (the server's interface)
        if self.queries is None:
            return Answer(404, {"error": "this worker does not run the objects step"})
        return await self.queries.candidates(event_id, local)
