"""The third processor: rules on candidates become messages to the outside, each sent once.

A *matter* is a rule and a candidate. It is active while the rule's condition holds for the last
revision of the candidate, so which matters are active follows from what is known, not from the
order in which it came. Each change of that is a message:

    (nothing) --new--> active --withdrawn--> inactive --reinstated--> active --withdrawn--> ...

A message's id names the matter and its turn, not the record that caused it. The ledger lets each id
pass once: whatever is replayed, restarted or delivered twice gives the same ids. While a matter is
active its last message is kept up to date in the ledger and on its topic (but not sent again), so
that at the end it says the same however the candidate came to be what it is.

A rule may leave the topology and come back, and so may a sink. A matter whose rule is away says
nothing, and ends with its candidate; what else became of it is seen when the rule is back and the
candidate comes again. Whoever missed something is then told how the matter stands now, if it was
left with the opposite, and nothing of what led there (`_settled`). What a sink had not taken when
it went goes to the one that came in its place: a path was corrected, say (`_handed_on`).
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from ampelstream.codecs import own
from ampelstream.core.accounting import Tally
from ampelstream.core.boundary import Failure, attempt, dead_letter
from ampelstream.core.inhand import WORKER_DIED, InHand, Unwatched
from ampelstream.core.ownership import Word, claim
from ampelstream.core.state import LedgerEntry, Matter, decode, encode, keys
from ampelstream.errors import SourceError
from ampelstream.model.candidate import DETECTIONS, SPOKEN_OF, Candidate, CandidateStatus
from ampelstream.model.digest import digest
from ampelstream.model.reaction import Reaction
from ampelstream.model.streams import Output, Record
from ampelstream.state.store import KeyValue
from ampelstream.topology import ReactionRule, Topology

__all__ = ["STRANDED", "Deliverer", "React", "message_id", "values_of"]

STRANDED = (
    "%d messages wait for sinks that are gone: no other came in their place. They are sent when "
    "such a sink, or another, is there again"
)
"""Said, with their number, where messages were left behind."""


class Deliverer(Protocol):
    """Knows the sinks."""

    def missing(self, rule: str, sent: Collection[str]) -> Sequence[str]:
        """Names of the rule's sinks that are not among those that have taken the message."""
        ...

    def deliver(self, reaction: Reaction, sent: Collection[str]) -> list[str]:
        """Hand a message to the sinks that have not taken it; give the names of those that did."""
        ...


def message_id(
    topology: str, rule: str, candidate: tuple[str, str, str], klass: str, turn: int
) -> str:
    """Give the deterministic id of a message (16 hex digits).

    The first two messages of a matter are named by their class alone.
    """
    name: list[Any] = [topology, rule, *candidate, klass]
    return digest(name if turn <= 2 else [*name, turn])  # noqa: PLR2004  (new, withdrawn)


def values_of(candidate: Candidate) -> dict[str, Any]:
    """Names that a rule's condition may use: the candidate's fields and its units' results."""
    values: dict[str, Any] = {name: getattr(candidate, name) for name in SPOKEN_OF}
    values["status"] = candidate.status.value
    values[DETECTIONS] = sum(point.is_detection for point in candidate.lightcurve)
    values.update({one.name: one.body for one in candidate.results if one.body is not None})
    return values


def _payload(candidate: Candidate) -> dict[str, Any]:
    """What a message needs to say of a candidate."""
    latest = max(
        (point for point in candidate.lightcurve if point.is_detection),
        key=lambda point: (point.jd, point.id),
        default=None,
    )
    payload = values_of(candidate)
    payload["revision"] = candidate.provenance.event_revision
    payload["topology_hash"] = candidate.provenance.topology_hash
    payload["latest"] = (
        {"jd": latest.jd, "band": latest.band, "mag": latest.mag, "magerr": latest.magerr}
        if latest
        else None
    )
    return payload


class React:
    """Rules, ledger and the messages that a sink has yet to take, of one partition.

    Parameters
    ----------
    topology
        Its rules decide.
    state
        The partition's store; what is changed waits there until the runtime commits it.
    tally
        What happened is counted here.
    clock
        Seconds that never go back.
    deliverer
        Hands messages to the sinks; None where messages are decided and kept, and not sent.
    retry_seconds
        How long a message that a sink did not take is left alone [s].
    in_hand
        Is told which record is about to be handled.
    """

    def __init__(
        self,
        topology: Topology,
        state: KeyValue,
        tally: Tally,
        clock: Callable[[], float],
        deliverer: Deliverer | None = None,
        *,
        retry_seconds: float = 10.0,
        inputs: str = "",
        in_hand: InHand | None = None,
    ) -> None:
        claim(state, topology, inputs, word=Word.FROM_NOW_ON)  # that of alerts is not asked here
        self._topology = topology
        self._rules = {rule.name: rule for rule in topology.reactions}
        self._away: set[str] = set()
        """Rules that the ledger knows and the topology has no longer."""
        self._tables = state
        self._tally = tally
        self._clock = clock
        self._deliverer = deliverer
        self._retry_seconds = retry_seconds
        self._in_hand = in_hand or Unwatched()
        self._unsent: dict[str, deque[str]] = {}
        """Messages to send, by matter in order: none overtakes an earlier one of its matter."""
        self._not_before: dict[str, float] = {}
        """When a matter is tried again that a sink did not take."""
        self.stranded = 0
        """Messages that a sink had not taken which is gone, and no other came in its place."""
        matters: dict[str, list[LedgerEntry]] = {}
        for entry in sorted(self.entries(), key=lambda entry: entry.reaction.turn):
            name = _matter_name(entry.reaction.rule, entry.reaction.about)
            matters.setdefault(name, []).append(entry)
        for name, entries in matters.items():
            self._take_up(name, entries)

    def _take_up(self, name: str, entries: Sequence[LedgerEntry]) -> None:
        """Go on with a matter where it was left."""
        rule, matter = entries[0].reaction.rule, self._matter(name)
        # a commit that a kill cut short may hold the message and not the matter: then it is
        # decided again, when its candidate comes again
        entries = [entry for entry in entries if entry.reaction.turn <= matter.turn]
        now = frozenset(self._sinks_of(rule) or ())
        if rule not in self._rules:
            self._away.add(rule)
            entries = self._settle(entries)
        elif matter.missed:
            return  # its candidate comes again
        else:
            # sinks that were away when the last message was decided, and not when another was
            back = now & _sinks_in(entries[:-1]) - _sinks_in(entries[-1:])
            entries = self._settle(entries, back, before=entries)
            self._queue_open(name, entries)
        if self._deliverer is not None and rule in self._rules:
            self.stranded += sum(bool(_owed_in([entry]) - now) for entry in entries)

    def committed(self) -> None:
        """What was done since the last time is durable."""
        self._tally.commit()
        self._in_hand.committed()

    def forget_offsets(self) -> None:
        """Look at every record of candidates that comes: they are of a new topic.

        Its offsets begin anew, and would count as those of records that were looked at before.
        """
        for name, value in list(self._tables.scan(keys.MATTER, keys.stop(keys.MATTER))):
            matter = decode.matter(value)
            if matter.offset >= 0:
                self._tables.put(name, encode(msgspec.structs.replace(matter, offset=-1)))

    # --- deciding -------------------------------------------------------------------------------

    def process(self, batch: Iterable[Record]) -> list[Output]:
        """Hold every rule against revisions of candidates, in order; sends nothing yet.

        What is decided here waits in the ledger until the runtime has made it durable; then
        `advance`, which the runtime calls while something is `pending`, hands it to the sinks.
        """
        if not self._rules and not self._away:
            return []  # nobody asks: not even the decoding is needed
        outputs: list[Output] = []
        for record in batch:
            if record.value is None and not record.fault:
                continue  # the candidate is none any longer
            died = self._in_hand.begin(record.where)
            if died:
                outputs.append(self._failed(record, Failure(WORKER_DIED, died)))
            else:
                outputs.extend(self._decided(record))
            self._in_hand.end(record.where)
        return outputs

    def _decided(self, record: Record) -> list[Output]:
        candidate = attempt(_decoded, record)
        if isinstance(candidate, Failure):
            return [self._failed(record, candidate)]
        outputs: list[Output] = []
        for name in (*self._rules, *sorted(self._away)):
            rule, offset = self._rules.get(name), record.where.offset
            if rule is None:
                done = attempt(self._apply_away, name, candidate, offset)
            else:
                done = attempt(self._apply, rule, candidate, offset)
            if isinstance(done, Failure):
                about = f"rule {name} on {'/'.join(candidate.key)}"
                named = Failure(done.error, f"{about}: {done.reason}")
                outputs.append(self._failed(record, named))
            elif done is not None:
                outputs.append(Output("reactions", done.id, done))
        return outputs

    def _apply(self, rule: ReactionRule, candidate: Candidate, offset: int) -> Reaction | None:
        """Hold one rule against one revision; give the matter's last message where it changed."""
        name = _matter_name(rule.name, candidate.key)
        matter = self._matter(name)
        if 0 <= offset <= matter.offset:
            self._tally.count("repeated", rule.name)
            return None
        active = _holds(rule, candidate)
        if matter.turn == 0 and not active:
            return None
        matter.offset = offset
        missed, matter.missed = matter.missed, False
        reaction = None
        if active != matter.active:
            reaction = self._message(rule.name, candidate, matter, active=active)
            if not missed:
                self._queue(name, reaction.id)
        elif active:
            reaction = self._updated(matter.message, candidate)
        if missed:
            entries = self._entries_of(rule.name, candidate.key, matter.turn)
            before = entries if reaction is None else entries[:-1]
            # a sink that is new gets what is decided now, unless nobody was told what it takes back
            sinks = _sinks_in(before if any(one.sent for one in before) else entries)
            self._queue_open(name, self._settle(entries, sinks, before=before))
        self._tables.put(keys.MATTER + name.encode(), encode(matter))
        return reaction

    def _apply_away(self, rule: str, candidate: Candidate, offset: int) -> Reaction | None:
        """Hold a rule that the topology has no longer against one revision.

        A candidate that is rejected ends the matter: it is none any longer, and so is not given
        again when the rule is back. Every other one is.
        """
        name = _matter_name(rule, candidate.key)
        matter = self._matter(name)
        if matter.turn == 0 or 0 <= offset <= matter.offset:
            return None
        matter.offset = offset
        # also of one that had ended: it is a candidate again
        matter.missed = candidate.status is not CandidateStatus.REJECTED
        reaction = None
        if not matter.missed and matter.active:
            reaction = self._message(rule, candidate, matter, active=False)
            self._settle(self._entries_of(rule, candidate.key, matter.turn))
        self._tables.put(keys.MATTER + name.encode(), encode(matter))
        return reaction

    def _message(
        self, rule: str, candidate: Candidate, matter: Matter, *, active: bool
    ) -> Reaction:
        """Next message of a matter; it goes into the ledger."""
        matter.active, matter.turn = active, matter.turn + 1
        name, klass = self._topology.name, _klass(matter.turn)
        matter.message = message_id(name, rule, candidate.key, klass, matter.turn)
        reaction = Reaction(
            id=matter.message,
            rule=rule,
            topology=name,
            event_id=candidate.event_id,
            object_id=candidate.object_id,
            channel=candidate.channel,
            klass=klass,
            payload=_payload(candidate),
            turn=matter.turn,
            reason="" if active else _reason(candidate),
        )
        self._put(LedgerEntry(reaction, sinks=self._sinks_of(rule)))
        self._tally.count("reactions", rule, "decided")
        return reaction

    def _updated(self, message: str, candidate: Candidate) -> Reaction | None:
        """Let a matter's last message say what is known now; None where it does already."""
        entry = self._entry(message)
        payload = _payload(candidate)
        if entry is None or entry.reaction.payload == payload:
            return None
        reaction = msgspec.structs.replace(entry.reaction, payload=payload)
        self._put(msgspec.structs.replace(entry, reaction=reaction))
        return reaction

    def _failed(self, record: Record, failure: Failure) -> Output:
        value = record.value if isinstance(record.value, bytes) else b""
        return dead_letter(self._tally, record.where, "candidates", "react", failure, value=value)

    # --- sending --------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Messages that a sink has yet to take."""
        if self._deliverer is None:
            return 0
        return sum(len(messages) for messages in self._unsent.values())

    def advance(self, budget_seconds: float | None = None) -> list[Output]:
        """Hand to the sinks what is durably decided; gives no outputs.

        A message is decided, published and written to the ledger; when that is durable it is handed
        to the sinks here, and what they took is part of the next commit. A kill in between hands it
        over again: a sink that knows what it took (the file sink, by id) takes nothing twice.

        Parameters
        ----------
        budget_seconds
            For how long at the most, about [s]; None: every message once.
        """
        if self._deliverer is None:
            return []
        began = self._clock()
        for matter in list(self._unsent):
            if self._not_before.get(matter, began) > began:
                continue
            self._send(matter, self._deliverer)
            if budget_seconds is not None and self._clock() - began > budget_seconds:
                break
        return []

    def _queue(self, matter: str, message: str) -> None:
        self._unsent.setdefault(matter, deque()).append(message)

    def _queue_open(self, matter: str, entries: Iterable[LedgerEntry]) -> None:
        for entry in entries:
            if self._is_open(entry):
                self._queue(matter, entry.reaction.id)

    def _send(self, matter: str, deliverer: Deliverer) -> None:
        """Hand over the messages of a matter, up to one that a sink does not take."""
        messages = self._unsent.pop(matter)
        self._not_before.pop(matter, None)
        while messages:
            if not self._hand_over(messages[0], deliverer):
                self._unsent[matter] = messages  # behind the others
                self._not_before[matter] = self._clock() + self._retry_seconds
                return
            messages.popleft()

    def _hand_over(self, name: str, deliverer: Deliverer) -> bool:
        """Hand over one message; whether all sinks of its rule have it now."""
        entry = self._entry(name)
        if entry is None:
            return True
        taken = deliverer.deliver(entry.reaction, self._done(entry))
        entry = msgspec.structs.replace(entry, sent=(*entry.sent, *taken))
        if taken:
            self._put(entry)
        complete = not self._is_open(entry)
        outcome = "sent" if complete else "failed"
        self._tally.count("reactions", entry.reaction.rule, outcome)
        return complete

    # --- the ledger -----------------------------------------------------------------------------

    def entries(self) -> list[LedgerEntry]:
        """All messages, in the order of their ids."""
        stop = keys.stop(keys.LEDGER)
        return [decode.entry(value) for _, value in self._tables.scan(keys.LEDGER, stop)]

    def _entry(self, name: str) -> LedgerEntry | None:
        value = self._tables.get(keys.LEDGER + name.encode())
        return None if value is None else decode.entry(value)

    def _entries_of(
        self, rule: str, candidate: tuple[str, str, str], turns: int
    ) -> list[LedgerEntry]:
        """Messages of a matter, in order."""
        topology = self._topology.name
        names = [
            message_id(topology, rule, candidate, _klass(turn), turn)
            for turn in range(1, turns + 1)
        ]
        return [entry for entry in map(self._entry, names) if entry is not None]

    def _settle(
        self,
        entries: Sequence[LedgerEntry],
        sinks: Collection[str] | None = None,
        *,
        before: Sequence[LedgerEntry] = (),
    ) -> list[LedgerEntry]:
        """Have sinks of a matter (all of them by default) hear how it stands, and no more.

        Where the rule has sinks that are in none of the messages ``before``, they have taken the
        place of those that are gone, and hear what these would have.
        """
        if not entries:
            return []
        sinks = _sinks_in(entries) if sinks is None else sinks
        now = frozenset(self._sinks_of(entries[0].reaction.rule) or ())
        gone, new = _owed_in(entries) - now, now - _sinks_in(before)
        if gone and new and before:
            settled = _handed_on(_settled(entries, {*sinks, *gone}), gone, new)
        else:
            settled = _settled(entries, sinks)
        for known, after in zip(entries, settled, strict=True):
            if after != known:
                self._put(after)
        return settled

    def _put(self, entry: LedgerEntry) -> None:
        self._tables.put(keys.LEDGER + entry.reaction.id.encode(), encode(entry))

    def _matter(self, name: str) -> Matter:
        found = self._tables.get(keys.MATTER + name.encode())
        return Matter(active=False, turn=0, message="") if found is None else decode.matter(found)

    def _is_open(self, entry: LedgerEntry) -> bool:
        reaction = entry.reaction
        return self._deliverer is not None and bool(
            self._deliverer.missing(reaction.rule, self._done(entry))
        )

    def _done(self, entry: LedgerEntry) -> tuple[str, ...]:
        """Sinks that have taken a message, and those that it is not for."""
        if entry.sinks is None:
            return entry.sent
        late = set(self._sinks_of(entry.reaction.rule) or ()) - set(entry.sinks)
        return (*entry.sent, *sorted(late))

    def _sinks_of(self, rule: str) -> tuple[str, ...] | None:
        if self._deliverer is None:
            return None
        return tuple(self._deliverer.missing(rule, ()))


def _decoded(record: Record) -> Candidate:
    value = record.value
    if record.fault:
        raise SourceError(record.fault)
    if isinstance(value, bytes):
        return own.decode_candidate(value)
    if isinstance(value, Candidate):
        return value
    raise TypeError(f"a record of candidates holds {type(value).__name__}")


def _holds(rule: ReactionRule, candidate: Candidate) -> bool:
    """Whether the rule asks for this candidate.

    A condition that does not speak of the status asks for active candidates only.
    """
    if rule.channel not in {None, candidate.channel}:
        return False  # it may have looked at this channel before
    if "status" not in rule.when.names and candidate.status is not CandidateStatus.ACTIVE:
        return False
    return rule.when.holds(values_of(candidate))


def _matter_name(rule: str, candidate: tuple[str, str, str]) -> str:
    return digest([rule, *candidate])


def _klass(turn: int) -> str:
    return "new" if turn == 1 else "reinstated" if _says_active(turn) else "withdrawn"


def _says_active(turn: int) -> bool:
    return turn % 2 == 1


def _sinks_in(entries: Iterable[LedgerEntry]) -> frozenset[str]:
    return frozenset(name for entry in entries for name in entry.sinks or ())


def _owed_in(entries: Iterable[LedgerEntry]) -> frozenset[str]:
    """Sinks that have yet to take a message."""
    return frozenset(n for entry in entries for n in entry.sinks or () if n not in entry.sent)


def _settled(entries: Sequence[LedgerEntry], sinks: Collection[str]) -> list[LedgerEntry]:
    """Messages of a matter, in order, with what these sinks are to get of them now.

    A sink gets the last one if it took nothing that says the same: where it took none at all it
    knows of nothing that could be withdrawn. The others are not for it, unless it took them. A sink
    that is in none but the last was given that on purpose, if anybody was told anything.
    """
    given = _sinks_in(entries[-1:]) - _sinks_in(entries[:-1])
    if not any(entry.sent for entry in entries):
        given = frozenset()
    heard = dict.fromkeys((name for name in sinks if name not in given), 0)
    for entry in entries:
        heard |= {name: entry.reaction.turn for name in entry.sent if name in heard}
    settled: list[LedgerEntry] = []
    for entry in entries:
        turn = entry.reaction.turn
        last = entry is entries[-1]
        owed = [n for n in heard if last and _says_active(heard[n]) != _says_active(turn)]
        kept = [n for n in entry.sinks or () if n not in heard or n in entry.sent]
        names = None if entry.sinks is None else tuple(dict.fromkeys([*kept, *sorted(owed)]))
        settled.append(msgspec.structs.replace(entry, sinks=names))
    return settled


def _handed_on(
    entries: Sequence[LedgerEntry], gone: Collection[str], new: Collection[str]
) -> list[LedgerEntry]:
    """Settled messages, of which the last goes to new sinks in the place of those that are gone."""
    *others, last = entries
    owed = _owed_in([last]) & set(gone)
    if owed:
        names = [name for name in last.sinks or () if name not in owed]
        last = msgspec.structs.replace(last, sinks=tuple(dict.fromkeys([*names, *sorted(new)])))
    return [*others, last]


def _reason(candidate: Candidate) -> str:
    """Why a matter that was active is so no longer."""
    return "condition" if candidate.status is CandidateStatus.ACTIVE else candidate.status.value
