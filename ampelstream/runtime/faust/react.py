"""The react step: candidates of one partition become reactions, sent through the ledger."""

import time
from collections.abc import Callable, Sequence

from faust.types import Message

from ampelstream.codecs import own
from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.react import LedgerEntry, ReactionLedger
from ampelstream.reactions.dispatch import Dispatcher
from ampelstream.runtime.kafka.letters import dead_letter, letter_of
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.state.store import Backend, Transaction
from ampelstream.topology import Topology

__all__ = ["ReactTask"]


_SLICE = 10
"""Reactions that are handed over before the ledger notes what was taken."""


class ReactTask:
    """The ledger of one partition.

    A reaction is decided, produced to its topic and written to the ledger; when that is durable it
    is handed to the sinks, and when they took it, that is written too. A kill in between hands it
    over again: a sink that can tell what it took (the file sink, by id) takes nothing twice.

    Parameters
    ----------
    topology, names
        The workflow and its topics.
    backend
        The partition's database.
    dispatcher
        Knows the sinks.
    metrics
        Told what was decided and sent.
    retry_seconds
        How long a sink that failed is left alone [s].
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        topology: Topology,
        names: TopicNames,
        backend: Backend,
        dispatcher: Dispatcher,
        metrics: Metrics,
        *,
        retry_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tables = Transaction(backend)
        self.ledger = ReactionLedger(topology, self.tables)
        self._rules = len(topology.reactions)
        self._names = names
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._open = dispatcher.unsent(self.ledger.entries())
        self._not_before = float("-inf")

    @property
    def pending(self) -> int:
        """Reactions that a sink has yet to take."""
        return len(self._open)

    def handle(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Decide what to send for candidates."""
        if not self._rules:
            return []  # nobody asks: not even the decoding is needed
        out: list[Outgoing] = []
        for message in messages:
            if message.value is None:
                continue  # the candidate is none any longer
            entries = attempt(self._consider, message)
            if isinstance(entries, Failure):
                self._metrics.dead_letter("react")
                letter = letter_of(message, "candidates", "react", entries)
                out.append(dead_letter(self._names, letter))
                continue
            for entry in entries:
                reaction = entry.reaction
                self._metrics.reaction(reaction.rule, "decided")
                out.append(
                    Outgoing(
                        self._names.reactions, reaction.id.encode(), own.encode_reaction(reaction)
                    )
                )
                self._open.append(entry)
                self._not_before = float("-inf")
        return out

    def again(self, keys: Sequence[bytes]) -> list[Outgoing]:
        """Nothing: each reaction has a key of its own, and says the same whoever wrote it."""
        del keys
        return []

    def _consider(self, message: Message) -> list[LedgerEntry]:
        return self.ledger.consider(own.decode_candidate(message.value or b""))

    def background(self) -> list[Outgoing] | None:
        """Hand to the sinks what is durably decided; None where there is nothing to hand over."""
        if not self._open or self._clock() < self._not_before:
            return None
        now, rest = self._open[:_SLICE], self._open[_SLICE:]
        before = {entry.reaction.id: entry for entry in now}
        refused = self._dispatcher.send(self.ledger, now)
        self._open = [*rest, *refused]
        failed = {entry.reaction.id for entry in refused}
        for name, entry in before.items():
            self._metrics.reaction(entry.reaction.rule, "failed" if name in failed else "sent")
        if refused:
            self._not_before = self._clock() + self._retry_seconds
        return []
