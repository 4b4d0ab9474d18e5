"""Which steps go on and which stand still; pure, the time is told."""

from dataclasses import dataclass

__all__ = ["Steps"]


@dataclass(slots=True)
class _Lag:
    """Records that wait, and when they last moved on [s]."""

    records: int
    moved: float


@dataclass(slots=True)
class _Step:
    """State of a step; held while it is rebalanced or not ready, and cannot commit."""

    moved: float
    expected: bool = False
    ready: bool = False
    rebalancing: bool = False
    held_since: float | None = None


class Steps:
    """What is known of the steps and of their partitions.

    A name is that of a step (``objects``), or of a part of one (``objects/alerts-3``). What is told
    of a step holds for its parts too. While a step is held, the clocks of its lags stand still: it
    is judged by the hold alone, and many short holds add nothing to the age of its lags.

    Parameters
    ----------
    limit
        How long a lag or a hold may last without going on [s].
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
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
        self._hold(name, step, now)

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

    def standing(self, now: float) -> list[str]:
        """What has not gone on for longer than the limit."""
        reasons = []
        for name, step in sorted(self._steps.items()):
            if step.held_since is not None:
                age = now - max(step.held_since, step.moved)
                what = "rebalancing" if step.rebalancing else "not ready"
                reasons += self._late(f"{name}: {what}, and no progress", age)
        for name, lag in sorted(self._lags.items()):
            step_of = self._steps.get(_base(name))
            if lag.records and (step_of is None or step_of.held_since is None):
                what = f"{name}: {lag.records} records wait, and no commit"
                reasons += self._late(what, now - lag.moved)
        return reasons

    def unready(self) -> list[str]:
        """What keeps the worker from its whole work."""
        if not any(step.expected for step in self._steps.values()):
            return ["no step has been set up yet"]
        reasons = []
        for name, step in sorted(self._steps.items()):
            if step.rebalancing:
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
