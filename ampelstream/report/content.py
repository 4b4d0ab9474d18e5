"""What a report is made from: plain values, gathered by whoever ran the replay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ampelstream.model.candidate import Candidate
from ampelstream.model.event import EventRevision

__all__ = ["EventReport", "ReplayReport", "ReportMap", "RevisionReport", "Stamp", "StampsOf"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A small image around an object, of one of its alerts.

    Attributes
    ----------
    kind
        Science, Template or Difference.
    png
        The image, ready for the page.
    note
        Of which alert it is, and how it is turned and scaled.
    """

    kind: str
    png: bytes
    note: str


StampsOf = Callable[[Sequence[Candidate]], Mapping[tuple[str, str, str], tuple[Stamp, ...]]]
"""Finds the stamps of candidates, by their keys; what has none is absent."""


class ReportMap(Protocol):
    """What the report asks of a sky map; ``ampelstream.sky.skymap.SkyMap`` has all of it.

    Attributes
    ----------
    name
        Name of the map, for the caption.
    start29, order
        First order-29 nested pixel and HEALPix order of each tile, shape (n,).
    level
        Greedy credible level of each tile, shape (n,).
    density
        Probability density of each tile [1/sr], shape (n,).
    distmean, diststd
        Distance and its standard deviation over the whole sky [Mpc].
    """

    @property
    def name(self) -> str: ...  # noqa: D102  (described in the class docstring)
    @property
    def start29(self) -> NDArray[np.int64]: ...  # noqa: D102  (see the class)
    @property
    def order(self) -> NDArray[np.int8]: ...  # noqa: D102  (see the class)
    @property
    def level(self) -> NDArray[np.float64]: ...  # noqa: D102  (see the class)
    @property
    def density(self) -> NDArray[np.float64]: ...  # noqa: D102  (see the class)
    @property
    def distmean(self) -> float | None: ...  # noqa: D102  (see the class)
    @property
    def diststd(self) -> float | None: ...  # noqa: D102  (see the class)

    def credible_levels(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Credible level at each position [deg, ICRS], shape as ``ra``."""
        ...


@dataclass(frozen=True, slots=True)
class RevisionReport:
    """One revision of an event, with what lay inside its region and window.

    Attributes
    ----------
    revision
        What the notice said.
    area50_deg2, area90_deg2
        Areas of the 50 % and 90 % credible regions [deg2]; None without a sky map.
    channels
        Channel to (alerts inside, objects inside).
    selected
        Whether the topology's event selection takes this revision.
    why_not
        Why it does not, or why nothing can be inside; empty where there is no reason.
    rejected
        Channel to the match filters (``FILTER: RULE``) that rejected objects inside, and how many.
    """

    revision: EventRevision
    area50_deg2: float | None
    area90_deg2: float | None
    channels: Mapping[str, tuple[int, int]]
    selected: bool
    why_not: str = ""
    rejected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventReport:
    """One event.

    Attributes
    ----------
    event_id
        The superevent.
    revisions
        In the order of the revisions, the latest last.
    skymap
        Sky map of the latest revision; None without one.
    retracted
        Whether the event was withdrawn.
    """

    event_id: str
    revisions: Sequence[RevisionReport]
    skymap: ReportMap | None
    retracted: bool


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Everything that a report shows.

    Attributes
    ----------
    topology_name, topology_version, topology_hash, description
        What ran.
    summary
        Content of ``summary.json``: the counts of what came in and what became of it.
    events
        Every event known at the end, in any order.
    candidates
        The last revision of every candidate, in any order.
    simulated
        Whether any of the data was made up.
    ranking
        Channel to (result that it ranks by, as ``"Unit.key"``, whether low values come first).
    """

    topology_name: str
    topology_version: str
    topology_hash: str
    description: str
    summary: Mapping[str, Any]
    events: Sequence[EventReport]
    candidates: Sequence[Candidate]
    simulated: bool
    ranking: Mapping[str, tuple[str, bool]]
