"""Before a worker works: its topology is brought into force, and those with another have stopped.

Workers with two files never work at the same time. One with a changed file writes it into the
topology log (``runtime/kafka/topologylog.py``); the others look there every few seconds and stop.
Only when none of them is left in any consumer group does the new one begin. What needs a person's
word is refused before anything is written, and so is a file that was replaced: the process that
comes back with it has only been started again.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.errors import for_code

from ampelstream.core.ownership import Word, asks, check_word
from ampelstream.errors import ConfigError, SourceError, UnreachableError
from ampelstream.runtime.context import WorkerContext
from ampelstream.runtime.faust.inputs import Input, inputs_of
from ampelstream.runtime.kafka.clients import open_admin
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.kafka.topologylog import Accepted, BackfillPlan, TopologyLog
from ampelstream.runtime.service.log import incident
from ampelstream.runtime.settings import INGEST
from ampelstream.topology import Identity, Topology, identity_of, with_units_of
from ampelstream.topology.differences import differences, in_words

__all__ = ["LOOK_SECONDS", "Admission", "client_id", "open_admission"]

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
"""Time between two looks at the log, or for others [s]."""
_SAY_AGAIN_SECONDS = 30.0
_CLIENT = "ampelstream-"


def client_id(digest: str) -> str:
    """Name under which a worker's clients are known to brokers: it tells its topology."""
    return f"{_CLIENT}{digest}"


class Admission:
    """Lets a worker in.

    Parameters
    ----------
    log
        Of the cluster.
    content
        The worker's topology.
    own
        Our cluster.
    groups
        Consumer groups of the topology, each with its cluster.
    alerts
        Where alerts are read; None where this worker does not read them.
    objects
        Which of the groups has offsets only where the topology worked before, on the topics that
        there are now.
    by
        Name of the worker, for people who read the log.
    evaluates
        Whether it evaluates candidates. One that does not has not opened the units' catalogues, and
        goes on where only these change.
    now
        Unix time [s].
    """

    def __init__(
        self,
        log: TopologyLog,
        content: Identity,
        own: Connection,
        groups: Iterable[tuple[str, Connection]],
        alerts: Sequence[Input] | None,
        *,
        objects: tuple[str, Connection] | None = None,
        by: str = "",
        evaluates: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._content = content
        self._own = own
        self._groups = tuple(groups)
        self.alerts = alerts
        self._objects = objects
        self._by = by
        self._evaluates = evaluates
        self._let_in: int | None = None
        self._now = now

    @property
    def superseded(self) -> bool:
        """Whether another topology is in force, or was since this worker was let in."""
        since = self._log.offset if self._let_in is None else self._let_in
        later = (one for offset, one in self._log.history if offset >= since)
        return any(not self._is_ours(one) for one in later)

    def until_all_stop(self) -> float:
        """How long a worker goes on whose topology is in force no longer [s].

        By then all have seen it, and they stop at the same moment as far as their clocks agree.
        """
        since, longest = self._log.since, 2 * LOOK_SECONDS
        if since is None:
            return 0.0
        return min(max(since + longest - self._now(), 0.0), longest)

    async def is_superseded(self) -> bool:
        """Look whether another topology has come into force; no, where that cannot be seen now."""
        try:
            await self._log.read()
        except SourceError as error:
            _LOG.debug("the topology log cannot be read now: %s", error)
        return self.superseded

    async def accept(self, word: Word | None, *, roll_back: str = "") -> None:
        """Bring the topology into force if it is not.

        Parameters
        ----------
        word
            What was chosen about earlier alerts.
        roll_back
            The content that is to be replaced by a file that was replaced itself: its digest, or
            the beginning of it. Who is started again behind that is not taken at his word twice.

        Raises
        ------
        ConfigError
            A word is missing, also where the log is empty and the topology worked before; or the
            file was replaced, also just now by somebody else.
        SourceError
            A cluster cannot be reached.
        """
        current = await self._log.read()
        if current is not None and not self.superseded and word not in {None, current.word}:
            text = f"--{word} changes nothing: the topology is in force, and was begun without it"
            _say_unused(word, text)
        while current is None or self.superseded:
            if await self._accept(current, word, roll_back=roll_back):
                return
            replaced, current = current, self._log.current
            # another record came first: one that only notes the end of a backfill hinders nobody
            if self.superseded and not _alike(replaced, current):
                raise self._replaced()

    async def alone(self) -> Accepted:
        """Wait until no consumer group has a member with another topology; gives what is in force.

        Raises
        ------
        ConfigError
            The file was replaced meanwhile.
        SourceError
            Our cluster refuses, or cannot be reached. Another's that is away is not waited for.
        """
        await asyncio.sleep(self._until_all_show())
        said = 0.0
        while others := await self._others():
            if self._now() - said > _SAY_AGAIN_SECONDS:
                text = "waiting for members with another topology file to stop"
                incident(_LOG, logging.INFO, "waiting", text, members=sorted(others))
                said = self._now()
            await asyncio.sleep(LOOK_SECONDS / 2)
        accepted = await self._log.read()
        if accepted is None or self.superseded:
            raise self._replaced()
        self._let_in = self._log.offset
        return accepted

    def goes_on(self, backfill: str) -> bool:
        """Whether that backfill is the one in force, and nobody has noted its end."""
        current = self._log.current
        if current is None or not self._is_ours(current):
            return False
        plan = current.backfill
        return plan is not None and plan.id == backfill and not plan.done

    async def note_backfilled(self, backfill: str) -> None:
        """Note that that backfill is done; somebody else may have, or another may be in force."""
        current = self._log.current
        if current is None or current.backfill is None or not self.goes_on(backfill):
            return
        plan = msgspec.structs.replace(current.backfill, done=True)
        record = msgspec.structs.replace(
            current, after=self._log.offset, at=self._now(), by=self._by, backfill=plan
        )
        if await self._log.add(record):
            text = "the backfill is read: its objects are brought over"
            incident(_LOG, logging.INFO, "backfilled", text, backfill=plan.id)

    async def _accept(
        self,
        current: Accepted | None,
        word: Word | None,
        *,
        roll_back: str,
    ) -> bool:
        """Add the record; whether it counts."""
        content = self._content
        lines: list[str] = []
        if current is not None:
            if self._was_replaced(current) and not (
                roll_back and current.content.digest.startswith(roll_back)
            ):
                raise self._replaced()
            if not self._evaluates:  # what it has not opened may be unchanged
                content = with_units_of(current.content, content)
            lines, word = _choose(current.content, content, word)
        elif await self._worked_before():
            if word is None:
                raise ConfigError(
                    f"topology {content.name} has worked here before, and the topology log "
                    "does not say with which file: its topic was made anew, or an earlier version "
                    "of ampelstream worked. Start with --from-now-on (also where the file is the "
                    "same) or, if filters or channels may be others, with --backfill"
                )
            lines = ["not known: the topology log was empty"]
        plan = await self._plan(current, word)
        place = self._log.offset, self._now(), self._by
        record = Accepted(content, *place, word, plan, whole=self._evaluates)
        if not await self._log.add(record):
            return False
        text = f"topology {content.name} {content.version} is in force"
        replaced = None if current is None else current.content.digest
        facts = {"digest": content.digest, "replaces": replaced, "word": word, "changes": lines}
        incident(_LOG, logging.INFO, "topology_accepted", text, **facts)
        return True

    def _until_all_show(self) -> float:
        """How long nobody can be told to be alone after a topology was replaced [s].

        One that was let in just before it was replaced may not have joined its groups yet. After
        this time it has, or has seen that it was replaced.
        """
        if all(self._is_ours(one) for _, one in self._log.history):
            return 0.0
        return self.until_all_stop()

    async def _plan(self, current: Accepted | None, word: Word | None) -> BackfillPlan | None:
        """The backfill that goes on, or begins."""
        before = None if current is None else current.backfill
        if current is None and not await self._worked_before():
            return None  # nothing was read before
        if current is not None and current.content.filters == self._content.filters:
            return before
        # without a word (a channel went) what was begun is begun anew, also where all has been
        # read: partitions may have objects that are still to be brought over
        if word is Word.FROM_NOW_ON or (word is None and before is None):
            return None
        if not self.alerts:
            raise ConfigError(
                "this worker reads no alerts, so it cannot begin a backfill: give --backfill to "
                "one that runs the ingest step, and has all topics of alerts among its sources, "
                "and start that first"
            )
        filters = self._content.filters
        # with the time: offsets begin anew where the topic of the log is made anew
        name = f"{filters}-{self._log.offset}-{self._now():.0f}"
        return BackfillPlan(name, filters, tuple(one.group for one in self.alerts))

    async def _worked_before(self) -> bool:
        """Whether workers have committed something on the topics that there are now."""
        if self._objects is None:
            return False
        group, connection = self._objects
        async with open_admin(connection) as client:
            found = await client.list_consumer_group_offsets(group)
        return any(one.offset > 0 for one in found.values())

    def _was_replaced(self, current: Accepted) -> bool:
        """Whether our topology was in force, and went."""
        if not current.whole and current.content.file == self._content.file:
            return False  # we add what that worker had not opened
        return any(self._is_ours(one) for _, one in self._log.history)

    def _is_ours(self, one: Accepted) -> bool:
        """Whether that is our topology, as far as this worker has to do with it."""
        if self._evaluates:
            return one.content.digest == self._content.digest
        return one.content.file == self._content.file

    def _client_in(self, group: str) -> str:
        """Name of our clients in a group: where candidates are evaluated it tells all there is."""
        of_objects = self._objects is not None and group == self._objects[0]
        return client_id(self._content.digest if of_objects else self._content.file)

    def _replaced(self) -> ConfigError:
        current = self._log.current
        if current is None:
            return ConfigError("the topology log is empty again; see that nobody deletes its topic")
        at = self._log.since or current.at
        since = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        content = current.content
        lines = "".join(f"  {one}\n" for one in in_words(differences(content, self._content)))
        return ConfigError(
            f"topology {content.name}, version {self._content.version} with content "
            f"{self._content.digest}, was replaced: "
            f"version {content.version} with content {content.digest} is in force since "
            f"{since}. From that to this:\n{lines}start with what is in force, or with --roll-back "
            f"{content.digest} to go back to this"
        )

    async def _others(self) -> set[str]:
        """Members with another topology; and groups of which our cluster does not say it now."""
        found: set[str] = set()
        for group, connection in self._groups:
            ours = connection is self._own
            try:
                async with open_admin(connection) as client:
                    found |= await _foreign(client, group, self._client_in(group))
            except UnreachableError:
                if ours:  # such as a coordinator that has just been restarted
                    found.add(f"{group}, of which the brokers do not say it now")
            except SourceError:
                # another's cluster may be away, and need not let us look; they stop by themselves
                if ours:
                    raise
        return found


def open_admission(topology: Topology, context: WorkerContext) -> Admission:
    """Make the admission of a worker.

    Raises
    ------
    ConfigError
        The sources name nothing to read, or a secret is not there.
    """
    names, own = TopicNames(topology.name), context.connection
    inputs = inputs_of(names, context)
    groups = [(one.group, one.connection) for one in inputs]
    groups += [(names.app(step), own) for step in (OBJECTS, REACT)]
    reads = INGEST in context.settings.steps
    alerts = [one for one in inputs if one.stream == "alerts" and not one.parked]
    log = TopologyLog(own, names.topology_log)
    by = f"worker {context.index} of {socket.gethostname()}"
    return Admission(
        *(log, identity_of(topology), own, groups, alerts if reads else None),
        objects=(names.app(OBJECTS), own),
        by=by,
        evaluates=topology.evaluates,
    )


def _choose(old: Identity, new: Identity, word: Word | None) -> tuple[list[str], Word | None]:
    """The differences, in words; and the word, as far as it is asked for.

    Raises
    ------
    ConfigError
        One is asked for, and was not given.
    """
    found = check_word(old, new, word)
    lines = list(in_words(found, word))
    # a channel that goes asks for no word, and yet it has other filters
    if word is not None and old.filters == new.filters and not asks(found):
        _say_unused(word, f"--{word} changes nothing: no difference asks for a word")
        return lines, None
    return lines, word


def _say_unused(word: Word | None, text: str) -> None:
    incident(_LOG, logging.WARNING, "word_unused", text, word=word)


def _alike(one: Accepted | None, other: Accepted | None) -> bool:
    """Whether both have the same topology."""
    if one is None or other is None:
        return one is other
    return one.content.digest == other.content.digest


async def _foreign(client: Any, group: str, ours: str) -> set[str]:
    """Members of a group that are no workers of ours, as group and host."""
    described = [
        one for answer in await client.describe_consumer_groups([group]) for one in answer.groups
    ]
    for one in described:
        if one[0]:  # an answer that names nobody since it does not know
            raise for_code(one[0])(group)
    return {
        f"{group} at {member[2]}" for one in described for member in one[5] if member[1] != ours
    }
