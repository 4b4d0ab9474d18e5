"""The mix of a night: how much of what."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

from ampelstream.simulate import kilonova
from ampelstream.simulate.explosions import supernova, young_supernova
from ampelstream.simulate.fields import Packet
from ampelstream.simulate.packets import Observer
from ampelstream.simulate.sky import Sky
from ampelstream.simulate.source import Kind, Source
from ampelstream.simulate.specks import artefact, asteroid
from ampelstream.simulate.stars import agn, dwarf_nova, variable_star
from ampelstream.simulate.survey import Survey, spot

__all__ = ["MIX", "background", "kilonova_packets"]

MIX: Final[Mapping[Kind, float]] = {
    Kind.VARIABLE_STAR: 0.42,
    Kind.AGN: 0.12,
    Kind.SUPERNOVA: 0.12,
    Kind.YOUNG_SUPERNOVA: 0.03,
    Kind.DWARF_NOVA: 0.02,
    Kind.ASTEROID: 0.12,
    Kind.ARTEFACT: 0.17,
}
"""Share of each kind in the packets; by eye from public ZTF nights, with more explosions."""

_MAKERS: Final[Mapping[Kind, Callable[[Random, Sky], Source]]] = {
    Kind.VARIABLE_STAR: variable_star,
    Kind.AGN: agn,
    Kind.SUPERNOVA: supernova,
    Kind.YOUNG_SUPERNOVA: young_supernova,
    Kind.DWARF_NOVA: dwarf_nova,
    Kind.ASTEROID: asteroid,
    Kind.ARTEFACT: artefact,
}

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _shares(count: int) -> dict[Kind, int]:
    """Packets of each kind, summing to the count; what rounding leaves goes to the stars."""
    shares = {kind: int(share * count) for kind, share in MIX.items()}
    shares[Kind.VARIABLE_STAR] += count - sum(shares.values())
    return shares


def _names() -> Iterator[str]:
    """Object names: ZTF's length, four counting letters after ``sim``; AT2017gfo's is left out."""
    number = 0
    while True:
        digits, rest = "", number
        for _ in range(4):
            rest, digit = divmod(rest, len(_LETTERS))
            digits = _LETTERS[digit] + digits
        number += 1
        if (name := f"ZTF17sim{digits}") != kilonova.OBJECT_ID:
            yield name


def background(
    count: int, sky: Sky, survey: Survey, observer: Observer, seed: int
) -> Iterator[tuple[Kind, Packet]]:
    """Give exactly that many packets of everything but the kilonova, kind by kind."""
    names = _names()
    for kind, share in _shares(count).items():
        left = share
        while left > 0:
            name = next(names)
            rng = Random(f"{seed}/source/{name}")  # noqa: S311  (a simulation, no secrets)
            source = _MAKERS[kind](rng, sky)
            exposures = survey.exposures(spot(source.ra, source.dec).field)
            for packet in observer.packets(source, name, exposures):
                if left > 0:
                    left -= 1
                    yield kind, packet


def kilonova_packets(survey: Survey, observer: Observer) -> Iterator[tuple[Kind, Packet]]:
    """Give the packets of AT2017gfo."""
    exposures = kilonova.exposures(survey)
    for packet in observer.packets(kilonova.kilonova(), kilonova.OBJECT_ID, exposures):
        yield Kind.KILONOVA, packet
