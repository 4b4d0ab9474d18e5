"""Objects of other surveys at the position of one, whose light curves a channel joins.

Which ones is a function of where all objects are, and of nothing else: so whichever came last, the
same light curves are joined. What that asks of the store is that an object is evaluated again
whenever one beside it has changed (`ObjectStore`), and that both lie in one partition.
"""

from collections.abc import Callable, Iterable, Sequence

from ampelstream.core.events import CELL_BITS
from ampelstream.core.matching import placed
from ampelstream.core.state import ObjectState, keys
from ampelstream.model.lightcurve import LightCurve
from ampelstream.sky.healpix import angular_separation, cone_ranges
from ampelstream.state.store import Readable
from ampelstream.topology import Channel, Topology

__all__ = ["Associations", "joined"]


def joined(curve: LightCurve, others: Iterable[LightCurve]) -> LightCurve:
    """Light curve of an object with the datapoints of others; its name and position stay."""
    points = [point for one in (curve, *others) for point in one]
    return LightCurve(curve.object_id, points, curve.place)


class Associations:
    """Finds what lies beside an object.

    Parameters
    ----------
    topology
        Its channels say how close.
    tables
        The store, with its index of the sky.
    get
        Gives an object.
    """

    def __init__(
        self, topology: Topology, tables: Readable, get: Callable[[str], ObjectState | None]
    ) -> None:
        radii = [one.associate for one in topology.channels if one.associate is not None]
        self._widest = max(radii, default=0.0)
        self._tables = tables
        self._get = get

    @property
    def asked(self) -> bool:
        """Whether a channel joins light curves."""
        return self._widest > 0.0

    def beside(self, state: ObjectState | None) -> dict[str, LightCurve]:
        """Light curves of the objects of other surveys beside one, by name, sorted.

        Those within the widest radius of any channel; none where no channel asks.
        """
        curve = None if state is None or not self.asked else placed(state)
        if state is None or curve is None or curve.place is None:
            return {}
        ra, dec = curve.place.ra, curve.place.dec
        names: set[str] = set()
        for first, behind in cone_ranges(ra, dec, self._widest):
            lo, hi = first >> CELL_BITS, ((behind - 1) >> CELL_BITS) + 1
            for entry in self._tables.scan(keys.cell(lo), keys.cell(hi)):
                names.add(keys.split_cell(*entry)[0])
        found: dict[str, LightCurve] = {}
        for name in sorted(names - {state.object_id}):
            other = self._get(name)
            if other is not None and other.survey != state.survey:
                there = placed(other)
                if _apart(curve, there) <= self._widest:
                    found[name] = there
        return found

    @staticmethod
    def for_channel(
        channel: Channel, curve: LightCurve, beside: dict[str, LightCurve]
    ) -> tuple[LightCurve, tuple[str, ...]]:
        """Light curve that a channel sees of an object, and the names of the others in it."""
        radius = channel.associate
        if radius is None:
            return curve, ()
        near = {name: one for name, one in beside.items() if _apart(curve, one) <= radius}
        return joined(curve, near.values()) if near else curve, tuple(near)

    def again(self, curve: LightCurve, names: Sequence[str]) -> LightCurve:
        """Join what was joined, for who reads a candidate."""
        states = (self._get(name) for name in names)
        return joined(curve, [placed(one) for one in states if one is not None])


def _apart(one: LightCurve, other: LightCurve) -> float:
    """Separation of two objects [deg]; of one that is nowhere, infinite."""
    if one.place is None or other.place is None:
        return float("inf")
    return angular_separation(one.place.ra, one.place.dec, other.place.ra, other.place.dec)
