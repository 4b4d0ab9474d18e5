"""How Rubin lays out its packets: the same from schema 7.1 to 11.0 as far as it is read here."""

from ampelstream.codecs.avro.plan import Layout
from ampelstream.codecs.avro.plans import Plans

__all__ = ["MEASURED", "PLANS"]

MEASURED = frozenset(
    {
        *("diaSourceId", "visit", "detector", "midpointMjdTai", "band"),
        *("psfFlux", "psfFluxErr", "reliability", "ra", "dec", "x", "y"),
    }
)
"""Fields of a history's entry that a datapoint takes."""

PLANS = Plans(
    Layout(
        survey="Rubin",
        head=("diaSource",),
        history="prvDiaSources",
        forced="prvDiaForcedSources",
        times=frozenset({"midpointMjdTai"}),
        measured=MEASURED,
    )
)
