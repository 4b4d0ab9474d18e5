"""Whether anything was lost or doubled: pure, on what was found in the topics and files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from ampelstream.core.react import message_id
from ampelstream.core.state import LedgerEntry, ObjectState
from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.reaction import Reaction
from tests.kafka.soak.packets import SOURCE, Stream

__all__ = ["Packets", "Sent", "judge_final", "judge_packets", "judge_sent"]

_LIMIT = 0.9


@dataclass(slots=True)
class Packets:
    """Where packets are missing, where they are twice, and what should not be there."""

    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    letters: int = 0

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.strange)


def judge_packets(
    stream: Stream, sent: int, objects: Iterable[ObjectState], letters: Iterable[DeadLetter]
) -> Packets:
    """Find each of the first ``sent`` packets exactly once.

    Objects come one for each partition and key: one that is in two partitions comes twice. Dead
    letters may be told more than once, by the rule of delivery, and count once.
    """
    found = Packets()
    alerts: Counter[int] = Counter()
    for state in objects:
        for alert in state.alerts:
            alerts[alert.candid] += 1
            known = 1 <= alert.candid <= sent and not stream.is_poison(alert.candid)
            if not known or stream.object_id(alert.candid) != state.object_id:
                found.strange.append(f"alert {alert.candid} in {state.object_id}")
            if alert.where != Coordinates(SOURCE, 0, alert.candid):
                found.strange.append(f"alert {alert.candid} of {alert.where}")
    dead: set[int] = set()
    for letter in letters:
        number = letter.where.offset
        if letter.where.source != SOURCE or not 1 <= number <= sent or not stream.is_poison(number):
            found.strange.append(f"dead letter {letter.where} ({letter.step}: {letter.reason})")
        else:
            dead.add(number)
    for number in range(1, sent + 1):
        times = int(number in dead) if stream.is_poison(number) else alerts[number]
        if times == 0:
            found.lost.append(number)
        elif times > 1:
            found.doubled.append(number)
    found.letters = len(dead)
    return found


@dataclass(slots=True)
class Sent:
    """Reactions that went out, by id, and what is wrong with them."""

    reactions: dict[str, Reaction] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.doubled or self.strange)


def judge_sent(text: bytes, ledger: Iterable[LedgerEntry]) -> Sent:
    """Hold a file of reactions against the ledger."""
    found = Sent()
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            reaction = msgspec.json.decode(line, type=Reaction)
        except msgspec.DecodeError:
            found.strange.append(f"line {number} is no reaction: {line[:60]!r}")
            continue
        if reaction.id in found.reactions:
            found.doubled.append(reaction.id)
        found.reactions[reaction.id] = reaction
    if text and not text.endswith(b"\n"):
        found.strange.append("the last line is not whole")
    decided: Counter[str] = Counter()
    for entry in ledger:
        decided[entry.reaction.id] += 1
        if entry.reaction.id not in found.reactions:
            found.strange.append(f"decided and not sent: {entry.reaction.id}")
        if len(set(entry.sent)) != 2 or len(entry.sent) != 2:  # a file and the console
            found.strange.append(f"{entry.reaction.id} noted as sent to {entry.sent}")
    found.strange += [f"in two ledgers: {one}" for one, times in decided.items() if times > 1]
    found.strange += [f"sent and not noted: {one}" for one in found.reactions.keys() - decided]
    return found


def judge_final(sent: Sent, final: Sequence[Candidate]) -> list[str]:
    """Hold the messages of the whole stream against the final candidates.

    Which transients were seen depends on the order of arrival, and a message about one is right.
    But the last message of each matter must say what holds in the end, its messages came in the
    order of their turns, and there are no others.
    """
    candidates = {candidate.key: candidate for candidate in final}
    wrong: list[str] = []
    matters: dict[tuple[str, str, str], list[Reaction]] = {}
    for one in sent.reactions.values():
        key = (one.event_id, one.object_id, one.channel)
        matters.setdefault(key, []).append(one)
        if one.id != message_id(one.topology, one.rule, key, one.klass, one.turn):
            wrong.append(f"{one.id} is not the id of {key} {one.klass} {one.turn}")
        if key not in candidates:
            wrong.append(f"{one.klass} of {key}, which is no candidate")
    for key, messages in matters.items():
        classes = [
            "new" if n == 0 else ("reinstated", "withdrawn")[n % 2] for n in range(len(messages))
        ]
        if [(one.turn, one.klass) for one in messages] != list(enumerate(classes, 1)):
            wrong.append(f"{key} was told in the order {[one.klass for one in messages]}")
    for key, candidate in candidates.items():
        last = matters[key][-1].klass if key in matters else "nothing"
        holds = candidate.status is CandidateStatus.ACTIVE and _near(candidate)
        if holds and last not in {"new", "reinstated"}:
            wrong.append(f"{key} was not told")
        if not holds and last not in {"withdrawn", "nothing"}:
            wrong.append(f"{key} was not withdrawn")
    return wrong


def _near(candidate: Candidate) -> bool:
    result = candidate.result("SkyMapProbability")
    return result is not None and float(result["cumprob"]) < _LIMIT
