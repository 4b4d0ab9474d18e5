"""Whether the first alerts of a run all fail in the same way.

A filter with a defect, a survey of which no packet can be decoded: without this, a night of 200,000
alerts would become as many dead letters before anybody looks. The runtimes ask for `message`: a
replay ends with it, live it is an incident.
"""

from collections.abc import Iterable

from ampelstream.core.boundary import Failure
from ampelstream.model.coordinates import Coordinates

__all__ = ["Beginning", "Kind"]

MANY = 200
"""Alerts after which a run is judged: too many for a bad stretch of an archive, and handled within
a second."""

Kind = frozenset[tuple[str, ...]]
"""How an alert failed: step, channel, and the kind of the failure (`Failure.kind`), for each."""


class Beginning:
    """Looks at the first alerts of a run, and at no other.

    Parameters
    ----------
    many
        So many alerts.

    Attributes
    ----------
    message
        What all of them failed of, in words for people; empty as long as that is not so.
    """

    def __init__(self, many: int = MANY) -> None:
        self.message = ""
        self._many = many
        self._failed = 0
        self._kind: Kind | None = None
        self._first = ""
        self._open = True

    @property
    def is_open(self) -> bool:
        """Whether it has yet to be seen."""
        return self._open

    def failed(self, where: Coordinates, step: str, failures: Iterable[Failure]) -> None:
        """Note that an alert was of no use to any channel."""
        failures = list(failures)
        kind = frozenset((step, *one.kind) for one in failures)
        if self._kind is None:
            self._kind = kind
            text = "; ".join(f"{one.error}: {one.reason}" for one in failures)
            self._first = f"{where} (step {step}): {text}"
        if kind == self._kind:
            self._failed += 1
        else:
            self._open = False

    def handled(self, alerts: int) -> None:
        """Judge, when so many alerts of the run were handled, whatever became of them."""
        if not self._open:
            return
        if alerts > self._failed:
            self._open = False
        elif alerts >= self._many:
            self._open = False
            self.message = f"the first {alerts} alerts all failed in the same way, as {self._first}"
