"""The contract of a unit: a configured class with one method.

A unit is a frozen pydantic model: its fields are its configuration, an unknown key is an error, and
two units with equal fields give equal results. Science only: no clock, no network, no Kafka.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict

from ampelstream.model.alert import Alert
from ampelstream.model.digest import digest
from ampelstream.units.inputs import Inputs, MatchInputs, Resources

__all__ = ["ACCEPT", "AlertFilter", "MatchFilter", "ObjectUnit", "Unit", "Verdict"]


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a filter says.

    Attributes
    ----------
    accept
        Whether the alert passes.
    reason
        The first rule that rejected it; empty when it passes.
    """

    accept: bool
    reason: str = ""


ACCEPT = Verdict(accept=True)


class Unit(BaseModel):
    """What all units have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: ClassVar[str] = "1"
    """Changed whenever the same input and configuration would give another result."""

    def open(self, resources: Resources) -> None:
        """Fetch what the unit reads (catalogues, templates), once, before the first record.

        Raises
        ------
        AmpelstreamError
            Something that the configuration names is not there.
        """

    def fingerprint(self) -> str:
        """Digest of the class, its version and its configuration (and of what it reads)."""
        return digest([type(self).__name__, self.version, self.model_dump(mode="json")])


class AlertFilter(Unit):
    """Judges one alert for one channel, before anything is stored."""

    def judge(self, alert: Alert) -> Verdict:
        """Accept, or reject with the first rule that failed."""
        raise NotImplementedError


class MatchFilter(Unit):
    """Judges an object against an event, after both are known."""

    def judge(self, inputs: MatchInputs) -> Verdict:
        """Accept, or reject with the first rule that failed."""
        raise NotImplementedError


class ObjectUnit(Unit):
    """Computes a result for an object, or for an object and an event.

    ``needs`` names the results that must be there, ``uses`` those that are taken where they are,
    ``provides`` what kind of result this unit gives. A topology whose units need what nobody listed
    before them provides is refused by its check.
    """

    provides: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    needs_event: ClassVar[bool] = False
    """Whether the result depends on the event (and its revision)."""
    heavy: ClassVar[bool] = False
    """Whether it computes for longer than some tens of milliseconds: the production runtime runs it
    in a process of a pool then. Such a unit must be picklable after ``open``."""

    def compute(self, inputs: Inputs) -> Mapping[str, Any] | msgspec.Struct:
        """Give the result; plain data or a struct, documented with units of measure.

        Raises
        ------
        UnitError
            No result for this input; the candidate then carries the reason.
        """
        raise NotImplementedError
