"""The embedded runtime: one process that carries records to the core, and commits.

State, source offsets, counts, dead letters and the reactions to send go into the store in one
WriteBatch. A process killed at any moment finds, when started again, a state that holds exactly the
records up to its offsets, and goes on from there.
"""

from ampelstream.core.books import Books
from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.judge import bury, judge_alert, judge_notice
from ampelstream.core.objects import Change
from ampelstream.core.react import ReactionLedger
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.runtime.embedded.book import RunBook
from ampelstream.runtime.embedded.counters import ChannelCounts
from ampelstream.state.store import Backend, Transaction
from ampelstream.topology import Topology

__all__ = ["Engine"]


class Engine:
    """Topology, core and store, driven one record at a time.

    It is also the test driver: synchronous, without threads or clock, state readable at any time.

    Parameters
    ----------
    topology
        The workflow.
    backend
        The store.
    commit_every
        Records in one batch.
    dispatcher
        Sends the reactions after each commit; without one they are only decided and kept.
    """

    def __init__(
        self,
        topology: Topology,
        backend: Backend,
        *,
        commit_every: int = 500,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        self.topology = topology
        self.tables = Transaction(backend)
        self.book = RunBook(self.tables)
        books = Books(topology, self.tables)
        self.events, self.objects, self.retention = books.events, books.objects, books.retention
        self.ledger = ReactionLedger(topology, self.tables)
        self.counters = self.book.counters()
        for channel in topology.channels:
            self.counters.channels.setdefault(channel.name, ChannelCounts())
        self._dispatcher = dispatcher
        self._unsent = dispatcher.unsent(self.ledger.entries()) if dispatcher else []
        self._commit_every = commit_every
        self._since_commit = 0

    def process(self, record: SourceRecord) -> list[Change]:
        """Handle one record: it ends in the state, in the counts or in the dead letters.

        Returns
        -------
        list of Change
            Candidates that became new or different.
        """
        if record.stream == "notices" and self._since_commit:
            self.commit()  # the sweep then reads objects from the store alone, in key order
        self.counters.stream(record.stream).records_in += 1
        step = self._alert if record.stream == "alerts" else self._notice
        changes = step(record)
        for change in changes:
            self._unsent.extend(self.ledger.consider(change.after))
        self.book.handled(record.where)
        self._since_commit += 1
        if self._since_commit >= self._commit_every:
            self.commit()
        return changes

    def commit(self) -> None:
        """Write everything since the last commit as one batch."""
        self.book.save_counters(self.counters)
        self.tables.commit()
        self._since_commit = 0
        if self._dispatcher is not None:
            # what a sink took is noted in the next batch; a sink refuses what it took before
            self._unsent = self._dispatcher.send(self.ledger, self._unsent)
        else:
            self._unsent = []

    def finish(self) -> int:
        """Commit what is open, and what the sinks took of it.

        Returns
        -------
        int
            Reactions that a sink has not taken.
        """
        self.commit()
        self.commit()
        return len(self._unsent)

    def _bury(self, letter: DeadLetter) -> list[Change]:
        self.counters.stream(letter.stream).dead_letters += 1
        self.book.add_letter(letter)
        return []

    def _alert(self, record: SourceRecord) -> list[Change]:
        judged = judge_alert(self.topology, record)
        if isinstance(judged, DeadLetter):
            return self._bury(judged)
        duplicate_of: tuple[str, ...] = ()
        changes: list[Change] = []
        if judged.outcome.detection is not None:
            merged = attempt(self.objects.add, judged.outcome.detection)
            if isinstance(merged, Failure):
                return self._bury(bury(record, "objects", merged))
            duplicate_of = merged.duplicate_of
            changes = list(merged.changes)
        self.counters.alert(judged.outcome, duplicate_of)
        self.retention.advance(judged.alert.jd)
        return changes

    def _notice(self, record: SourceRecord) -> list[Change]:
        notice = judge_notice(self.topology, record)
        if isinstance(notice, DeadLetter):
            return self._bury(notice)
        event = attempt(
            self.events.add, notice.revision, notice.skymap, record.where, record.member
        )
        if isinstance(event, Failure):
            return self._bury(bury(record, "events", event))
        self.counters.notice(known=event is None)
        if event is None:
            return []
        return list(self.objects.rematch(event))
