"""Whether a worker is alive and ready, from the signs of life of its steps and partitions."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from types import TracebackType

from ampelstream.model.display import counted

__all__ = ["Health", "Pulse"]


@dataclass(slots=True)
class _Lag:
    """Records that wait, and when they last moved on [s]."""

    records: int
    moved: float


@dataclass(slots=True)
class _Step:
    """State of a step; held while it is rebalanced or not ready, and cannot commit.

    heard: when its brokers last answered [s].
    """

    moved: float
    expected: bool = False
    heard: float | None = None
    ready: bool = False
    rebalancing: bool = False
    held_since: float | None = None


class Steps:
    """What is known of the steps and of their partitions.

    A name is that of a step (``objects``), or of a part of one (``objects/alerts-3``). What is
    reported of a step holds for its parts too. While a step is held, the clocks of its lags stand
    still: it is measured by the hold alone, and many short holds add nothing to the age of its
    lags.

    Parameters
    ----------
    limit
        How long a lag or a hold may last without going on [s].
    silence
        How long brokers may be silent before their step is not ready [s].
    """

    def __init__(self, limit: float, silence: float) -> None:
        self.limit = limit
        self.silence = silence
        self._steps: dict[str, _Step] = {}
        self._lags: dict[str, _Lag] = {}

    def lag(self, name: str, records: int, now: float) -> None:
        """So many records wait; the clock runs from the first that does."""
        known = self._lags.get(name)
        if known is None or known.records == 0:
            self._lags[name] = _Lag(max(records, 0), now)
        else:
            known.records = max(records, 0)

    def progress(self, name: str, now: float) -> None:
        """The step, or the part and with it a hold of its step, goes on."""
        self._step(name, now).moved = now
        for known, lag in self._lags.items():
            if _within(known, name):
                lag.moved = now

    def expect(self, name: str, now: float) -> None:
        """The worker runs this step: it is held until it is ready."""
        step = self._step(name, now)
        step.expected = True
        if step.heard is None:
            step.heard = now
        self._hold(name, step, now)

    def heard(self, name: str, now: float) -> None:
        """The brokers of the step have answered."""
        self._step(name, now).heard = now

    def is_ready(self, name: str) -> bool:
        """Whether the step has its state and reads its inputs."""
        step = self._steps.get(name)
        return step is not None and step.ready and not step.rebalancing

    def silent(self, now: float) -> dict[str, float]:
        """For each step that the worker runs, how long its brokers have been silent [s]."""
        return {
            name: now - step.heard
            for name, step in self._steps.items()
            if step.expected and step.heard is not None
        }

    def ready(self, name: str, now: float, *, ready: bool) -> None:
        """The step reads its inputs, or does not."""
        step = self._step(name, now)
        step.ready = ready
        self._hold(name, step, now)

    def rebalancing(self, name: str, now: float, *, active: bool) -> None:
        """Partitions of the step are moved."""
        step = self._step(name, now)
        step.rebalancing = active
        self._hold(name, step, now)

    def forget(self, name: str) -> None:
        """Nothing is known any longer of a step and its parts, or of a part."""
        self._steps.pop(name, None)
        for known in [known for known in self._lags if _within(known, name)]:
            del self._lags[known]

    def standing(self, now: float, at_work: Mapping[str, float]) -> list[str]:
        """What has not gone on for longer than the limit.

        The clock of a lag stands still while a handler of its step is at work and moves: one record
        may take longer than a commit may.

        Parameters
        ----------
        now
            The time [s].
        at_work
            Steps whose handlers move, and since when they are at work [s].
        """
        reasons = []
        for name, step in sorted(self._steps.items()):
            if step.held_since is not None:
                age = now - max(step.held_since, step.moved)
                what = "rebalancing" if step.rebalancing else "not ready"
                reasons += self._late(f"{name}: {what}, and no progress", age)
        for name, lag in sorted(self._lags.items()):
            step_of = self._steps.get(_base(name))
            if lag.records and (step_of is None or step_of.held_since is None):
                waiting = counted(lag.records, "record waits", "records wait")
                what = f"{name}: {waiting}, and no commit"
                until = at_work.get(_base(name), now)
                reasons += self._late(what, until - lag.moved)
        return reasons

    def unready(self, now: float) -> list[str]:
        """What keeps the worker from its whole work."""
        if not any(step.expected for step in self._steps.values()):
            return ["no step has been set up yet"]
        silent = self.silent(now)
        reasons = []
        for name, step in sorted(self._steps.items()):
            if silent.get(name, 0.0) > self.silence:
                reasons.append(f"{name}: no broker answers since {silent[name]:.0f} s")
            elif step.rebalancing:
                reasons.append(f"{name}: rebalancing")
            elif step.expected and not step.ready:
                reasons.append(f"{name}: not ready yet")
        return reasons

    def _late(self, what: str, age: float) -> list[str]:
        return [f"{what} for {age:.0f} s (limit {self.limit:g} s)"] if age > self.limit else []

    def _step(self, name: str, now: float) -> _Step:
        return self._steps.setdefault(_base(name), _Step(now))

    def _hold(self, name: str, step: _Step, now: float) -> None:
        held = step.rebalancing or (step.expected and not step.ready)
        if held and step.held_since is None:
            step.held_since = now
        elif not held and step.held_since is not None:
            for known, lag in self._lags.items():
                if _within(known, _base(name)):
                    lag.moved = min(lag.moved + (now - step.held_since), now)
            step.held_since = None


def _base(name: str) -> str:
    return name.partition("/")[0]


def _within(name: str, of: str) -> bool:
    return name == of or name.startswith(f"{of}/")


class Pulse:
    """When the handlers of a step last moved; told for each record, so without a lock."""

    __slots__ = ("_clock", "at")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.at = clock()

    def __call__(self) -> None:
        """It moves."""
        self.at = self._clock()


class _Busy:
    """A handler at work; a class, since a generator costs more on the way of every record."""

    __slots__ = ("_entered", "_health", "_name")

    def __init__(self, health: "Health", name: str) -> None:
        self._health = health
        self._name = name
        self._entered = -1

    def __enter__(self) -> None:
        self._entered = self._health.enter(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._health.leave(self._entered)


class Health:
    """Collects signs of life, from any thread, and says what they amount to.

    A name is that of a step (``objects``), or of a part of one (``objects/alerts-3``); what is
    reported of a step holds for its parts too. A step is *held* while it is rebalanced or not yet
    ready: the clocks of its lags then stand still, and the hold itself must go on.

    Parameters
    ----------
    clock
        Seconds that never go back.
    stuck_after
        How long a handler may take (without moving, where it has a `pulse`), and how long the event
        loop may be silent [s]. The silence counts from the making of this object.
    no_commit_after
        How long a step may have records to read, or may be held, without going on [s].
    no_broker_after
        How long the brokers of a step may be silent before the worker is not ready [s]. It is
        alive all the same: a new start would not bring them back.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        stuck_after: float = 60.0,
        no_commit_after: float = 120.0,
        no_broker_after: float = 20.0,
    ) -> None:
        self.stuck_after = stuck_after
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = count()
        self._at_work: dict[int, tuple[str, float]] = {}
        self._pulses: dict[str, Pulse] = {}
        self._beat = clock()
        self._steps = Steps(no_commit_after, no_broker_after)
        self._failing: dict[str, str] = {}

    def busy(self, name: str) -> _Busy:
        """Context around a handler, which must not take too long from entry to exit.

        Any number may be open at once, under one name or several, in any thread.
        """
        return _Busy(self, name)

    def pulse(self, step: str) -> Pulse:
        """What the handlers of a step call for each thing that they have done."""
        return self._pulses.setdefault(step, Pulse(self._clock))

    def enter(self, name: str) -> int:
        """Begin what `busy` wraps, where a context does not fit; gives the token for `leave`."""
        token = next(self._tokens)
        with self._lock:
            self._at_work[token] = (name, self._clock())
        return token

    def leave(self, token: int) -> None:
        """End what `enter` began."""
        with self._lock:
            self._at_work.pop(token, None)

    def beat(self) -> None:
        """Report that the event loop runs; to be called about once a second."""
        self._beat = self._clock()

    def lag(self, name: str, records: int) -> None:
        """Report how many records wait to be read; while there are any, commits must come."""
        with self._lock:
            self._steps.lag(name, records, self._clock())

    def commit(self, name: str) -> None:
        """Report that offsets were committed."""
        self.progress(name)

    def progress(self, name: str) -> None:
        """Report that it goes on without a commit: a restore, a long sweep, a wait on purpose."""
        with self._lock:
            self._steps.progress(name, self._clock())

    def expect(self, name: str) -> None:
        """Name a step that this worker runs; it is held until `set_ready`."""
        with self._lock:
            self._steps.expect(name, self._clock())

    def set_ready(self, name: str, ready: bool) -> None:  # noqa: FBT001  (a setter's value)
        """Report that a step has its state and reads its inputs, or does so no longer."""
        with self._lock:
            self._steps.ready(name, self._clock(), ready=ready)

    def rebalancing(self, name: str, active: bool) -> None:  # noqa: FBT001  (a setter's value)
        """Report that partitions of a step are being moved, or that they have been."""
        with self._lock:
            self._steps.rebalancing(name, self._clock(), active=active)

    def forget(self, name: str) -> None:
        """Drop what is known of a partition that went elsewhere, or of a step that ended."""
        with self._lock:
            self._steps.forget(name)
            self._failing.pop(name, None)

    def fails(self, name: str, message: str) -> None:
        """Report that a step does nothing but fail: it is not ready, and a restart is no help."""
        with self._lock:
            self._failing[name] = message

    def heard(self, name: str) -> None:
        """Report that the brokers of a step answer."""
        with self._lock:
            self._steps.heard(name, self._clock())

    def is_ready(self, name: str) -> bool:
        """Whether a step has its state and reads its inputs."""
        with self._lock:
            return self._steps.is_ready(name)

    def silent(self) -> dict[str, float]:
        """For each step that the worker runs, how long its brokers have been silent [s]."""
        with self._lock:
            return self._steps.silent(self._clock())

    @property
    def no_broker_after(self) -> float:
        """How long brokers may be silent [s]."""
        return self._steps.silence

    def alive(self) -> list[str]:
        """Give the reasons to end the process; none while all goes on."""
        with self._lock:
            now = self._clock()
            return [*self._stuck(now), *self._steps.standing(now, self._moving())]

    def ready(self) -> list[str]:
        """Give the reasons why the worker does not do its whole work; none when it does."""
        reasons = self.alive()
        with self._lock:
            failing = [f"{name}: {message}" for name, message in sorted(self._failing.items())]
            return reasons + self._steps.unready(self._clock()) + failing

    def _moving(self) -> dict[str, float]:
        """Steps whose handlers have a pulse, and since when the oldest is at work."""
        found: dict[str, float] = {}
        for name, since in self._at_work.values():
            step = _base(name)
            if step in self._pulses:
                found[step] = min(since, found.get(step, since))
        return found

    def _stuck(self, now: float) -> list[str]:
        limit = f"(limit {self.stuck_after:g} s)"
        oldest: dict[str, float] = {}
        for name, began in self._at_work.values():
            pulse = self._pulses.get(_base(name))
            since = began if pulse is None else max(began, pulse.at)
            oldest[name] = min(since, oldest.get(name, since))
        reasons = [
            f"{name}: a handler has been busy for {now - since:.0f} s {limit}"
            for name, since in sorted(oldest.items())
            if now - since > self.stuck_after
        ]
        if now - self._beat > self.stuck_after:
            reasons.append(f"the event loop was silent for {now - self._beat:.0f} s {limit}")
        return reasons
