"""A replay: inputs from their beginning to their end, then the outputs.

Killed and started again with the same inputs, it goes on where its last commit was; the outputs are
those of an undisturbed run.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ampelstream.codecs.alerts import Schemas
from ampelstream.errors import AllFailedError, ConfigError, StateError
from ampelstream.model.digest import digest
from ampelstream.model.localisation import MapAt, no_map
from ampelstream.model.record import SourceRecord
from ampelstream.model.times import jd_from_unix
from ampelstream.report.content import ReplayReport
from ampelstream.report.html import render
from ampelstream.runtime import outputs
from ampelstream.runtime.embedded.engine import BATCH, Engine, next_batch
from ampelstream.runtime.embedded.resultmark import ResultMark, check_result
from ampelstream.runtime.embedded.stampfinder import stamps_from
from ampelstream.runtime.embedded.summary import collect, reaction_rows, silent_inputs, skipped_rows
from ampelstream.runtime.service.allocator import give_back
from ampelstream.runtime.service.journal import Journals
from ampelstream.runtime.settings import POOL_PROCESSES
from ampelstream.runtime.unitpool import has_heavy, with_pool
from ampelstream.runtime.unittimes import UnitTimes
from ampelstream.sources import Source, merge, timed
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Backend
from ampelstream.topology import Topology

if TYPE_CHECKING:
    from ampelstream.sources.writerschemas import GivenSchemas

__all__ = ["STATE_DIRECTORY", "Replay", "ReplayResult", "paced"]

STATE_DIRECTORY = "state"
_MARKER = "ampelstream-state"
_DISCARDED = ".discarded-state"
_LOG = logging.getLogger(__name__)
_WAY_OUT = (
    "%s\nThe replay has ended there, and has written nothing: mend what is named (`ampelstream "
    "units run UNIT FILE` shows what a filter says of single alerts), then start the same command "
    "again, which begins anew"
)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay gives.

    Attributes
    ----------
    report
        Everything that the outputs say.
    resumed
        Whether it went on from a killed run's state.
    times
        How long its units took.
    """

    report: ReplayReport
    resumed: bool
    times: UnitTimes


Watch = Callable[[Iterator[SourceRecord], int, int | None], Iterable[SourceRecord]]
"""Passes records on while showing the progress: (records, already done, total)."""


class Replay:
    """One replay into one directory.

    Parameters
    ----------
    topology
        The workflow.
    sources
        Inputs, alerts and notices.
    out
        Directory of the outputs; the state is kept in its subdirectory ``state``.
    description
        Of the workflow, for the report.
    simulated
        Whether the report must say that the data is made up.
    batch
        Records that are handled together.
    forget
        Whether objects and events are forgotten when event time says so, as they are live.
    pool_processes
        In which heavy units compute at the same time.
    paths
        Of the inputs, to tell the result from another's; by default their names.
    overwrite
        Whether the result of another replay may be replaced.
    map_at
        Gives the sky map at the address that a notice names.
    schemas
        Of packets that only name theirs.
    cutouts
        Whether the report has the images of its candidates' alerts, which are read once more.
    """

    def __init__(
        self,
        topology: Topology,
        sources: Sequence[Source],
        out: Path,
        *,
        description: str = "",
        simulated: bool = False,
        batch: int = BATCH,
        forget: bool = False,
        pool_processes: int = POOL_PROCESSES,
        paths: Sequence[str] = (),
        overwrite: bool = False,
        map_at: MapAt = no_map,
        schemas: "GivenSchemas | None" = None,
        cutouts: bool = True,
    ) -> None:
        self._topology = topology
        self._sources = sources
        self._out = out
        self._description = description
        self._simulated = simulated
        self._batch = batch
        self._forget = forget
        self._pool_processes = pool_processes
        self._mark = ResultMark.of(topology, paths or [source.name for source in sources])
        self._overwrite = overwrite
        self._times = UnitTimes()
        self._map_at = map_at
        self._schemas = schemas
        self._cutouts = cutouts

    def _open(self, make: Callable[[Backend], Engine]) -> tuple[RocksBackend, Engine, bool]:
        """Open the state of a killed run of the same replay, or an empty one."""
        path = self._out / STATE_DIRECTORY
        try:
            # a process that was killed while it discarded an old state left this behind
            shutil.rmtree(self._out / _DISCARDED, ignore_errors=True)
            self._claim(path)
            backend = RocksBackend(path / "rocks")
            try:
                engine = make(backend)
            except ConfigError:
                backend.close()
                _LOG.info("%s holds another or a finished replay; starting afresh", self._out)
                path.rename(self._out / _DISCARDED)  # at once, so that a kill leaves no half state
                shutil.rmtree(self._out / _DISCARDED)
                self._claim(path)
                backend = RocksBackend(path / "rocks")
                engine = make(backend)
        except OSError as error:
            raise StateError(f"{path} cannot be used: {error.strerror or error}") from error
        resumed = engine.accounting.total("received") > 0
        engine.commit()  # the state is ours from here on
        return backend, engine, resumed

    @staticmethod
    def _claim(path: Path) -> None:
        """Make the state's directory, or see that it is one of ours: we may remove it later."""
        marker = path / _MARKER
        if path.exists() and any(path.iterdir()) and not marker.exists():
            raise StateError(f"{path} holds files that are not ours; name another directory")
        path.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def run(self, watch: Watch) -> ReplayResult:
        """Handle every record, write the outputs, and say what came out.

        Raises
        ------
        AllFailedError
            The first alerts all failed in the same way; the state is removed, for a new start.
        ConfigError
            The directory holds the result of another replay.
        AmpelstreamError
            An input or the state cannot be read.
        """
        said = check_result(self._out, self._mark, overwrite=self._overwrite)
        if said:
            _LOG.warning("%s", said)
        how = ["forget"] if self._forget else []
        how += ["maps"] if self._map_at is not no_map else []
        how += [] if self._schemas is None else [f"schemas {self._schemas.name}"]
        inputs = digest([*(source.name for source in self._sources), *how])
        journals = Journals(self._out / STATE_DIRECTORY / "in-hand")
        pool = with_pool(self._topology, self._pool_processes, self._times.add)
        with journals, pool as topology:
            at_once = self._pool_processes if has_heavy(topology) else 1
            make = partial(
                Engine,
                topology,
                inputs=inputs,
                forget=self._forget,
                journals=journals,
                at_once=at_once,
                map_at=self._map_at,
                schemas=self._schemas,
            )
            try:
                return self._run(watch, *self._open(make))
            except AllFailedError:
                # what came of these alerts is in it as done: a mended unit is to see them, too
                shutil.rmtree(self._out / STATE_DIRECTORY)
                raise

    def _run(
        self,
        watch: Watch,
        backend: RocksBackend,
        engine: Engine,
        resumed: bool,  # noqa: FBT001  (what `_open` gives)
    ) -> ReplayResult:
        try:
            engine.catch_up()
            done = engine.accounting.total("received")
            records = merge(self._sources, engine.progress.offsets(), self._schemas)
            sizes = [source.estimate() for source in self._sources]
            total = None if None in sizes else sum(size for size in sizes if size is not None)
            shown = iter(watch(records, done, total))
            while batch := next_batch(shown, self._batch):
                engine.process(batch)
                if engine.ingest.all_failed and not resumed:
                    raise AllFailedError(_WAY_OUT % engine.ingest.all_failed)
            engine.commit()
            give_back()  # what batches of alerts took: candidates need other sizes
            report = collect(engine, description=self._description, simulated=self._simulated)
            skipped = [one for source in self._sources for one in source.skipped]
            more = {
                "skipped": skipped_rows(skipped),
                "silent_inputs": silent_inputs(self._sources, engine.progress.offsets()),
            }
            report = replace(report, summary={**report.summary, **more})
            self._write(engine, report)
            engine.mark_finished()
        finally:
            backend.close()
        return ReplayResult(report, resumed, self._times)

    def _write(self, engine: Engine, report: ReplayReport) -> None:
        out = self._out
        # first: whoever is killed among these files must be let go on, and write them again
        self._mark.write(out)
        # those of the report, not of the state once more: there may be many
        candidates = sorted(report.candidates, key=lambda candidate: candidate.key)
        outputs.write_lines(out / "candidates.ndjson", map(outputs.candidate_row, candidates))
        letters = sorted(
            engine.progress.letters(), key=lambda one: (one.where, one.step, one.reason)
        )
        outputs.write_lines(out / "dead-letters.ndjson", map(outputs.letter_row, letters))
        outputs.write_lines(out / "reactions.ndjson", reaction_rows(engine))
        outputs.write_json(out / "summary.json", report.summary)
        stamps = stamps_from(self._sources) if self._cutouts else None
        outputs.write_text(out / "report.html", render(report, stamps=stamps))


_DAY_SECONDS = 86400.0


def paced(
    records: Iterator[SourceRecord],
    speed: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
    schemas: Schemas | None = None,
) -> Iterator[SourceRecord]:
    """Hold each record back until its time has come.

    One that says that it is younger than all behind it, or than the present, is not waited for.

    Parameters
    ----------
    records
        In the order of event time, roughly; one that is late is not held back.
    speed
        Seconds of event time per second of ours.
    clock, sleep
        Ours [s].
    now
        Unix time [s].
    schemas
        Of packets that only name theirs: without, these have no time.
    """
    began = clock()
    first: float | None = None
    for jd, record in timed(records, schemas):
        if -math.inf < jd <= jd_from_unix(now()):
            first = jd if first is None else first
            wait = (jd - first) * _DAY_SECONDS / speed - (clock() - began)
            if wait > 0:
                sleep(wait)
        yield record
