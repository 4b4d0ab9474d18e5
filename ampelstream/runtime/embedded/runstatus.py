"""What a process of the embedded runtime says of itself: as a file, as a line, as plain data.

The process replaces the file every few seconds, which is its heartbeat; whoever watches it reads
the file and need not open the database, which the process has to itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ampelstream.errors import StateError
from ampelstream.model.display import counted, printable
from ampelstream.model.times import iso_from_jd, iso_from_unix, reached, span, unix_from_jd
from ampelstream.runtime.embedded.letterfile import LetterKind
from ampelstream.runtime.outputs import write_json
from ampelstream.sources import Skipped

__all__ = [
    "Counts",
    "RunStatus",
    "faults",
    "read_status",
    "status_line",
    "status_row",
    "status_text",
]

_SHOWN_REASONS = 3
_SHOWN_KINDS = 5
_REASON = 100


class Counts(msgspec.Struct, frozen=True):
    """What was counted; names as in `ampelstream.core.accounting`, unless said otherwise.

    Attributes
    ----------
    alerts, notices
        Received.
    failed
        Alerts that could not be handled.
    failed_later
        Of those that passed.
    rejected
        By all channels, by reason.
    sent
        Reactions that all sinks of their rule have.
    refused
        Alerts younger than the clock, which did not move event time.
    refiltered, backfilled, unjudged
        Earlier alerts that were read again for changed filters; those that these accepted; and
        those that could not be judged anew.
    remarks
        Of notices that were put right, or read in part.
    """

    alerts: int = 0
    notices: int = 0
    failed: int = 0
    failed_later: int = 0
    passed: int = 0
    rejected: Mapping[str, int] = {}
    accepted: int = 0
    candidates: int = 0
    sent: int = 0
    dead_letters: int = 0
    refused: int = 0
    refiltered: int = 0
    backfilled: int = 0
    unjudged: int = 0
    remarks: int = 0

    def since(self, before: "Counts") -> "Counts":
        """What was counted after ``before``."""
        gone = {reason: n - before.rejected.get(reason, 0) for reason, n in self.rejected.items()}
        others = {
            name: getattr(self, name) - getattr(before, name)
            for name in self.__struct_fields__
            if name != "rejected"
        }
        return Counts(rejected={reason: n for reason, n in gone.items() if n}, **others)


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A process and its state at one moment; times are Unix times [s].

    Attributes
    ----------
    topology, version, hash
        Of the topology.
    pid
        Of the process.
    started, heartbeat
        When the process began, and when it wrote this.
    once
        Whether it ends by itself when nothing new is there.
    ended, error
        When it ended; and with what error, empty where it was asked to end. None while it runs.
    total
        Counts in the whole life of the state.
    new, since
        Counts since the last line that the process said, and when that was.
    refused
        One of the alerts that are counted as such: its coordinates and time.
    events
        How many are known.
    rejected_events, unplaced_events
        Of these, those of which the topology selects no revision; and those that it would select,
        but that have no trigger time or no sky map.
    rules
        How many the topology has for reactions.
    unsent
        Reactions that a sink has yet to take.
    event_time_jd
        How far event time has come [JD, UTC]; None where no alert has said it.
    waiting
        What the inputs have that is not handled yet, ``files`` and ``records``; None where it
        cannot be known. Empty before the first look, then as of ``since``.
    skipped, first_skipped
        How many files and archive members hold no records of a known kind, and the first of them.
    sweeps
        Revisions of events whose objects have yet to be matched.
    backfills
        Whether a backfill is under way.
    backfill_waits
        What a backfill waits for; empty while it goes on, or without one.
    kinds
        Of the dead letters, most frequent first.
    remarked
        One of the remarks that are counted.
    why_rejected
        How many events are selected, and why the others are not; empty where all are.
    failing
        Units that have failed, in words, in the order of the topology.
    all_failed
        What the first alerts of the process all failed of; empty where they did not.
    """

    topology: str
    version: str
    hash: str
    pid: int
    started: float
    heartbeat: float
    once: bool
    ended: float | None = None
    error: str = ""
    total: Counts = Counts()
    new: Counts = Counts()
    since: float
    refused: str = ""
    events: int = 0
    rejected_events: int = 0
    unplaced_events: int = 0
    rules: int = 0
    unsent: int = 0
    event_time_jd: float | None = None
    waiting: Mapping[str, int | None] = {}
    skipped: int = 0
    first_skipped: tuple[Skipped, ...] = ()
    sweeps: int = 0
    backfills: bool = False
    backfill_waits: str = ""
    kinds: tuple[LetterKind, ...] = ()
    remarked: str = ""
    why_rejected: str = ""
    failing: tuple[str, ...] = ()
    all_failed: str = ""

    def write(self, path: Path) -> None:
        """Replace the file; a reader sees the old or the new one whole. OSError where it fails."""
        write_json(path, msgspec.to_builtins(self))


_decode = msgspec.json.Decoder(RunStatus).decode


def read_status(path: Path) -> RunStatus:
    """Read what a process wrote.

    Raises
    ------
    StateError
        The file cannot be read, or is of another version.
    """
    try:
        return _decode(path.read_bytes())
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise StateError(
            f"{path} is not what this version writes: it is damaged, or of another version. Start "
            "`ampelstream run` with this state once: it writes it anew"
        ) from error


def faults(status: RunStatus, *, running: bool, now: float, max_age: float) -> Iterator[str]:
    """What is wrong with a process, each in a sentence; nothing where all is well.

    Parameters
    ----------
    status
        What it wrote.
    running
        Whether it lives.
    now
        Unix time [s].
    max_age
        Longest time since its last heartbeat [s].
    """
    age = now - status.heartbeat
    if status.ended is not None and status.error:
        yield f"the process ended {span(age)} ago: {status.error}"
    elif status.ended is not None and not status.once:
        yield f"the process was stopped {span(age)} ago; start it again"
    elif status.ended is None and not running:
        yield f"process {status.pid} is gone without a word, {span(age)} after its last heartbeat"
    elif age > max_age:
        what = "the last run ended" if status.once and not running else "its last heartbeat was"
        yield f"{what} {span(age)} ago, more than {span(max_age)}"
    if status.all_failed:
        yield printable(status.all_failed)
    if status.unsent and not running:
        unsent = counted(status.unsent, "reaction is", "reactions are")
        yield f"{unsent} unsent, and no process tries"
    if status.backfill_waits:
        yield printable(status.backfill_waits)
    elif status.backfills and not running:
        yield "a backfill is not done; the next start goes on with it"


# --- for people ---------------------------------------------------------------------------------


def status_line(status: RunStatus) -> str:
    """All of it in one line, with the time."""
    return f"{iso_from_unix(status.heartbeat)} {status_text(status)}"


def status_text(status: RunStatus) -> str:
    """All of it in one sentence; a zero says why where that is known."""
    parts = (
        _received(status),
        *_skipped(status),
        *_refused(status),
        *_remarked(status),
        _passed(status),
        *_backfill(status),
        _candidates(status),
        _reactions(status),
        _letters(status),
        *_failing(status),
        _event_time(status),
        _waiting(status),
    )
    return f"{printable(status.topology)}: {'; '.join(parts)}"


def _received(status: RunStatus) -> str:
    total, new = status.total, status.new
    text = (
        f"{counted(total.alerts, 'alert')} (+{new.alerts}) and "
        f"{counted(total.notices, 'notice')} (+{new.notices})"
    )
    if total.alerts:
        return f"{text} in"
    none = "no alert" if total.notices else "nothing"
    if not status.waiting or any(n != 0 for n in status.waiting.values()):
        why = f"{none} has been handled yet"
    elif status.skipped:
        why = f"{none} that can be read has come yet"
    else:
        why = f"{none} has come yet"
    return f"{text} in: {why}"


def _skipped(status: RunStatus) -> Iterator[str]:
    """That there are files which nobody reads; the inputs may hold nothing else."""
    if status.skipped:
        text = counted(
            status.skipped,
            "file or archive member cannot be read",
            "files or archive members cannot be read",
        )
        such = "".join(f" as {printable(one.name)}," for one in status.first_skipped[:1])
        yield f"{text}, such{such} which `ampelstream status` explains" if such else text


def _refused(status: RunStatus) -> Iterator[str]:
    total, new = status.total, status.new
    if total.refused:
        text = f"{counted(total.refused, 'alert')} (+{new.refused}) younger than the clock"
        such = f", such as {printable(status.refused)}," if status.refused else ""
        yield f"{text}{such} did not move event time"


def _remarked(status: RunStatus) -> Iterator[str]:
    total, new = status.total, status.new
    if total.remarks:
        text = f"{total.remarks} remarks (+{new.remarks}) on notices"
        yield f"{text}, such as {printable(status.remarked)!r}" if status.remarked else text


def _reasons(rejected: Mapping[str, int]) -> str:
    """Most frequent reasons, and how many others there are."""
    order = sorted(rejected.items(), key=lambda one: (-one[1], one[0]))
    texts = [f"{n} by {printable(reason, _REASON)}" for reason, n in order[:_SHOWN_REASONS]]
    others = sum(n for _, n in order[_SHOWN_REASONS:])
    return ", ".join([*texts, *([f"{others} for other reasons"] if others else [])])


def _passed(status: RunStatus) -> str:
    total, new = status.total, status.new
    text = f"{total.passed} passed (+{new.passed})"
    # without a new alert the total may be the question, and then nothing else is
    of = new if new.alerts else total
    if of.passed or not of.alerts:
        return text
    why = []
    if of.rejected:
        gone = sum(of.rejected.values())
        every = "all " if gone == of.alerts else ""
        why.append(f"{every}{gone} rejected, {_reasons(of.rejected)}")
    if of.failed:
        why.append(f"{of.failed} could not be handled")
    return f"{text}: {' and '.join(why)}" if why else text


def _backfill(status: RunStatus) -> Iterator[str]:
    """How a backfill goes on, while it does."""
    new = status.new
    if new.refiltered:
        again = counted(new.refiltered, "earlier alert")
        yield f"{again} read again, {new.backfilled} of them accepted"
    if new.unjudged:
        yield f"{new.unjudged} of them could not be judged anew"
    if status.backfills and not new.refiltered:
        yield "a backfill is under way"
    if status.backfill_waits:
        yield printable(status.backfill_waits)


def _candidates(status: RunStatus) -> str:
    total, new = status.total, status.new
    text = f"{counted(total.candidates, 'revision')} of candidates (+{new.candidates})"
    of = new if new.passed else total
    if of.candidates or not of.passed:
        return text
    if of.failed_later and not of.accepted:
        why = f"{of.failed_later} of the alerts that passed could not be handled"
    elif not of.accepted:
        why = "the alerts that passed were all known"
    else:
        why = _why_no_fit(status)
    return f"{text}: {why}"


def _why_no_fit(status: RunStatus) -> str:
    """Why no object that is known is a candidate."""
    known, rejected = status.events, status.rejected_events
    left = known - rejected - status.unplaced_events
    if not known:
        return "no event is known"
    if known == rejected:
        why = printable(status.why_rejected) or "see its events.where and events.kinds"
        return f"the topology follows none of the {known} events known: {why}"
    of = f"{left} of {known}" if left < known else f"{known}"
    if not left:
        rest = f", and the topology rejects {rejected}" if rejected else ""
        unplaced = counted(status.unplaced_events, "event has", "events have")
        return f"{unplaced} no sky map or trigger time yet{rest}"
    return f"no object fits one of the {of} events known: region, window and match filters"


def _reactions(status: RunStatus) -> str:
    if not status.rules:
        return "no reactions: the topology has no rules"
    sent = counted(status.total.sent, "reaction")
    text = f"{sent} sent (+{status.new.sent}), {status.unsent} unsent"
    if status.unsent:
        return f"{text}: a sink does not take them"
    none = status.total.candidates and not status.total.sent
    return text + (": no candidate fulfils the condition of a rule" if none else "")


def _letters(status: RunStatus) -> str:
    text = f"{counted(status.total.dead_letters, 'dead letter')} (+{status.new.dead_letters})"
    if not status.kinds or not status.new.dead_letters:
        return text
    kinds = [f"{one.count} {one.step} {printable(one.error)}" for one in status.kinds]
    more = ["..."] if len(kinds) > _SHOWN_REASONS else []
    return f"{text}, in all {', '.join([*kinds[:_SHOWN_REASONS], *more])}"


def _failing(status: RunStatus) -> Iterator[str]:
    """Units that have failed, while they do: with a new dead letter or candidate, or at the end."""
    for text in status.failing[:_SHOWN_REASONS]:
        yield f"unit {printable(text)}"
    if len(status.failing) > _SHOWN_REASONS:
        more = len(status.failing) - _SHOWN_REASONS
        yield f"{counted(more, 'other unit has', 'other units have')} failed, too"


def _event_time(status: RunStatus) -> str:
    if status.event_time_jd is None:
        return "event time not known: no alert since the start"
    return reached(status.event_time_jd, status.heartbeat)


def _waiting(status: RunStatus) -> str:
    known = [f"{n} {what}" for what, n in sorted(status.waiting.items()) if n]
    if status.sweeps:
        known.append(f"{counted(status.sweeps, 'sweep')} of events")
    unknown = [what for what, n in sorted(status.waiting.items()) if n is None]
    if not status.waiting:  # nobody has looked
        unknown = ["files or records"]
    if unknown:
        known.append(f"an unknown number of {' and '.join(unknown)}")
    return f"{' and '.join(known) or 'nothing'} waiting"


# --- for programs -------------------------------------------------------------------------------


def status_row(status: RunStatus, *, running: bool, now: float) -> dict[str, Any]:
    """Everything as plain data; times in ISO 8601 (UTC), time spans in seconds."""
    jd = status.event_time_jd
    new = msgspec.to_builtins(status.new)
    return {
        "topology": status.topology,
        "version": status.version,
        "hash": status.hash,
        "engine": "embedded",
        "running": running,
        "pid": status.pid,
        "started": iso_from_unix(status.started),
        "ended": None if status.ended is None else iso_from_unix(status.ended),
        "error": status.error,
        "heartbeat": iso_from_unix(status.heartbeat),
        "heartbeat_age_seconds": round(now - status.heartbeat, 3),
        "event_time": None if jd is None else iso_from_jd(jd),
        "event_time_behind_seconds": None if jd is None else round(now - unix_from_jd(jd), 3),
        "waiting": dict(status.waiting) or None,
        "skipped": {
            "count": status.skipped,
            "first": [one._asdict() for one in status.first_skipped],
        },
        "sweeps": status.sweeps,
        "backfills": status.backfills,
        "backfill_waits": status.backfill_waits,
        "events": status.events,
        "rejected_events": status.rejected_events,
        "unplaced_events": status.unplaced_events,
        "refused_such_as": status.refused,
        "remarked_such_as": status.remarked,
        "unsent": status.unsent,
        "why_rejected": status.why_rejected,
        "failing": list(status.failing),
        "all_failed": status.all_failed,
        **msgspec.to_builtins(status.total),
        "dead_letter_kinds": [msgspec.to_builtins(one) for one in status.kinds[:_SHOWN_KINDS]],
        "new": {"since": iso_from_unix(status.since), **new},
    }
