"""The settings of a worker, each once, with its bounds, its default and its text for people.

The command line makes its options from `WorkerSettings` (`ampelstream.cli.options`), so a setting
is added here and nowhere else. What follows from the settings at run time (connection, partitions,
directories) is made in `ampelstream.runtime.context`.
"""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ampelstream.core.ownership import Word
from ampelstream.runtime.kafka.names import OBJECTS, REACT

__all__ = [
    "INGEST",
    "MAP_HOSTS",
    "POOL_PROCESSES",
    "STEPS",
    "Engine",
    "GroupTimes",
    "LogForm",
    "Option",
    "WorkerSettings",
    "create_command",
]

_LAST_PORT = 65_535
INGEST = "ingest"
STEPS = (INGEST, OBJECTS, REACT)
DIRECTORIES = "Directories (--engine embedded)"
KAFKA = "Kafka"
CHANGE = "A changed topology"
TIMING = "Timing (--engine faust)"
MAP_HOSTS = (
    "gcn.gsfc.nasa.gov",
    "gcn.nasa.gov",
    "gracedb.ligo.org",
    "heasarc.gsfc.nasa.gov",
    "opendata.km3net.de",
    "roc.icecube.wisc.edu",
)
"""Where missions that GCN carries keep their sky maps."""
POOL_PROCESSES = min(4, os.cpu_count() or 1)
"""For heavy units: more for whoever has many of them, and the machine for itself."""


@dataclass(frozen=True, slots=True)
class Option:
    """How a field of the settings is given on the command line.

    Attributes
    ----------
    panel
        Heading under which the help shows it; None for the common ones.
    variable
        Environment variable that holds its default.
    metavar
        What the help shows for its value; by default its type.
    unit
        Unit of measure of its value; None for what has none.
    positional
        Whether it is an argument, without a name.
    commas
        Whether several values are given as one text with commas, not by repeating the option.
    """

    panel: str | None = None
    variable: str | None = None
    metavar: str | None = None
    unit: str | None = None
    positional: bool = False
    commas: bool = False


class Engine(StrEnum):
    """What carries the records."""

    EMBEDDED = "embedded"
    FAUST = "faust"


class LogForm(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """How quickly a consumer group notices a member that is gone [s].

    Attributes
    ----------
    session
        Without a heartbeat for so long a member is out, and its partitions go to others.
    heartbeat
        Time between heartbeats.
    rebalance
        How long members may take to finish what they have in hand when partitions move.
    """

    session: float = 12.0
    heartbeat: float = 3.0
    rebalance: float = 30.0


def _known_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    strange = sorted(set(steps) - set(STEPS))
    if strange or not steps:
        raise ValueError(
            f"there is no step {', '.join(strange) or '(none given)'}; steps are {', '.join(STEPS)}"
        )
    return tuple(step for step in STEPS if step in steps)


_Followed = Annotated[tuple[Path, ...], Option(panel=DIRECTORIES)]
_Seconds = Annotated[float, Option(panel=TIMING, unit="s")]


class WorkerSettings(BaseModel):
    """Settings of ``ampelstream run``; the fields are its options.

    Messages of the validation name options as they are typed. Times are in seconds.

    Raises
    ------
    pydantic.ValidationError
        A value is out of its bounds, or the engine misses an input; `ampelstream.cli.options` makes
        a wrong usage of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topology: Annotated[
        str,
        Field(description="Topology file, or the name of a shipped one."),
        Option(positional=True),
    ]
    state: Annotated[
        Path, Field(description="Directory of the state; kept between runs."), Option()
    ]
    engine: Annotated[
        Engine,
        Field(
            description="embedded: one process, from directories or topics; faust: on Kafka, "
            "with many."
        ),
        Option(),
    ] = Engine.EMBEDDED
    catalogs: Annotated[
        Path | None, Field(description="Directory of the catalogues."), Option()
    ] = None

    pool_processes: Annotated[
        int,
        Field(ge=1, le=64, description="Processes of each worker in which heavy units compute."),
        Option(),
    ] = POOL_PROCESSES

    fetch_maps: Annotated[
        bool,
        Field(
            description="Fetch the sky maps that notices only name by address (healpix_url, "
            "skymap_fits); otherwise the error circle of the notice stands for them."
        ),
        Option(),
    ] = True
    map_hosts: Annotated[
        tuple[str, ...],
        Field(description="Hosts from which sky maps are fetched, and no others, with commas."),
        Option(commas=True, metavar="HOSTS"),
    ] = MAP_HOSTS

    alerts: Annotated[
        _Followed, Field(description="Directory of alerts to follow; may be repeated.")
    ] = ()
    notices: Annotated[
        _Followed, Field(description="Directory of notices to follow; may be repeated.")
    ] = ()
    schemas: Annotated[
        str | None,
        Field(
            description="Schemas of alerts that only name theirs (Rubin's, on the wire): a "
            "directory of files such as 900.avsc, or the URL of a schema registry."
        ),
        Option(panel=DIRECTORIES, metavar="DIR|URL"),
    ] = None
    poll: Annotated[
        float,
        Field(ge=0.05, description="Time between looks into the directories."),
        Option(panel=DIRECTORIES, unit="s"),
    ] = 1.0
    once: Annotated[
        bool, Field(description="End when nothing new is there."), Option(panel=DIRECTORIES)
    ] = False

    report: Annotated[
        float,
        Field(ge=0.1, description="Time between two lines that say how it goes."),
        Option(panel=DIRECTORIES, unit="s"),
    ] = 60.0

    broker: Annotated[
        str | None,
        Field(
            description="Our own cluster: host:port, several with commas; or a YAML file with "
            "bootstrap, security, mechanism, username, password."
        ),
        Option(panel=KAFKA, variable="AMPELSTREAM_BROKER", metavar="ADDRESS|FILE"),
    ] = None
    sources: Annotated[
        Path | None,
        Field(
            description="YAML file of clusters and topics that are read; without it, our own "
            "topics ampel.NAME.alerts and ampel.NAME.notices."
        ),
        Option(panel=KAFKA),
    ] = None
    steps: Annotated[
        tuple[str, ...],
        AfterValidator(_known_steps),
        Field(description="Steps that this worker runs, with commas."),
        Option(panel=KAFKA, commas=True),
    ] = STEPS
    workers: Annotated[
        int,
        Field(ge=1, description="Worker processes; a dead one is started again."),
        Option(panel=KAFKA),
    ] = 1
    host: Annotated[
        str, Field(description="Address of the probes and queries."), Option(panel=KAFKA)
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Field(ge=0, le=_LAST_PORT, description="Port of the first worker; 0 takes any."),
        Option(panel=KAFKA),
    ] = 6066
    advertise: Annotated[
        str | None,
        Field(description="Host under which other workers reach this one, if not that of --host."),
        Option(panel=KAFKA, variable="AMPELSTREAM_ADVERTISE"),
    ] = None
    instance_id: Annotated[
        str | None,
        Field(description="Static name in the consumer groups, such as the name of a pod."),
        Option(panel=KAFKA, variable="AMPELSTREAM_INSTANCE_ID"),
    ] = None
    log: Annotated[
        LogForm, Field(description="Form of the log on stderr."), Option(panel=KAFKA)
    ] = LogForm.TEXT

    from_now_on: Annotated[
        bool,
        Field(description="Changed filters and new channels count for alerts from now on."),
        Option(panel=CHANGE),
    ] = False
    backfill: Annotated[
        bool,
        Field(
            description="Changed filters and new channels count for all alerts that are still in "
            "the inputs: these are filtered anew, in the background."
        ),
        Option(panel=CHANGE),
    ] = False
    roll_back: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-f]{8,64})?$",
            description="The file may be one that was replaced, by what has this content and is in "
            "force (--engine faust; a refusal names it).",
        ),
        Option(panel=CHANGE, metavar="DIGEST"),
    ] = ""

    stuck_after: Annotated[
        _Seconds, Field(ge=1, description="After this time a stuck worker is ended.")
    ] = 60.0
    no_commit_after: Annotated[
        _Seconds,
        Field(
            ge=10,
            description="After this time without a commit, while records wait, the worker is "
            "ended.",
        ),
    ] = 120.0
    grace: Annotated[_Seconds, Field(ge=0, description="Time for an orderly stop.")] = 25.0
    session: Annotated[
        _Seconds,
        Field(
            ge=6,
            description="After this time without a heartbeat a worker's partitions go to others.",
        ),
    ] = 12.0
    produce_timeout: Annotated[
        _Seconds,
        Field(ge=1, description="After this time a record that no broker takes ends the worker."),
    ] = 30.0
    park: Annotated[
        _Seconds,
        Field(
            ge=0.1,
            description="After this time the registry is asked again for a schema that it did not "
            "have; then ever later, up to every ten minutes.",
        ),
    ] = 60.0
    park_limit: Annotated[
        _Seconds,
        Field(
            ge=1,
            description="After this time a record whose schema is not known is a dead letter.",
        ),
    ] = 7 * 86_400.0
    refresh: Annotated[
        _Seconds, Field(ge=1, description="Time between looks for new topics of a pattern.")
    ] = 30.0

    @model_validator(mode="after")
    def _inputs_fit(self) -> "WorkerSettings":
        missing = next(_UNFIT[self.engine](self), None)
        if missing is not None:
            raise ValueError(missing)
        return self

    @model_validator(mode="after")
    def _one_word(self) -> "WorkerSettings":
        if self.from_now_on and self.backfill:
            raise ValueError("give either --from-now-on or --backfill")
        return self

    @property
    def word(self) -> Word | None:
        """What was chosen about earlier alerts, where the topology has changed."""
        if self.backfill:
            return Word.BACKFILL
        return Word.FROM_NOW_ON if self.from_now_on else None

    @property
    def times(self) -> GroupTimes:
        """Of the consumer groups."""
        return GroupTimes(session=self.session, heartbeat=min(3.0, self.session / 4))


def _unfit_embedded(settings: WorkerSettings) -> Iterator[str]:
    if settings.workers > 1 or settings.steps != STEPS:
        yield (
            "the embedded engine is one process with all steps: --workers and --steps are for "
            "--engine faust"
        )
    if settings.port not in {0, WorkerSettings.model_fields["port"].default}:
        yield (
            "the embedded engine answers at no port: --port is for --engine faust; how it is doing "
            "says `ampelstream status --state`"
        )
    if not settings.alerts and not settings.broker:
        yield "the embedded engine follows directories or topics; give --alerts, or --broker"


def _unfit_faust(settings: WorkerSettings) -> Iterator[str]:
    last = settings.port + settings.workers - 1
    if settings.port and last > _LAST_PORT:
        yield (
            f"each worker takes the next port, and the last of {settings.workers} would be {last}: "
            f"give a --port of {_LAST_PORT - settings.workers + 1} or less"
        )
    if not settings.broker:
        yield "the faust engine needs --broker, or AMPELSTREAM_BROKER"
    if settings.alerts or settings.notices or settings.once:
        yield (
            "the faust engine reads topics: --alerts, --notices and --once are for the embedded "
            "one; see `ampelstream topics load` to bring files in"
        )
    if settings.schemas:
        yield "--schemas is for the embedded engine: give `registry` in the file of --sources"


_UNFIT = {Engine.EMBEDDED: _unfit_embedded, Engine.FAUST: _unfit_faust}
"""What each engine misses, or cannot use."""


def create_command(topology: str, broker: str, partitions: int | None = None) -> str:
    """Give the command that creates the topics of a topology, for messages.

    Parameters
    ----------
    topology, broker
        As they were given.
    partitions
        How many the other topics have; None where there are none, or where the file says it.
    """
    words = ["ampelstream", "topics", "create", topology, "--broker", broker]
    words += [] if partitions is None else ["--partitions", str(partitions)]
    return shlex.join([*words, "--yes"])
