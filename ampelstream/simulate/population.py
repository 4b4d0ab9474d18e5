"""The sources of a night, class by class, and how much there is of each.

Every maker draws one source of its class: variable stars, dwarf novae and active nuclei are the
bulk of any night; supernovae, old and new; asteroids and artefacts, which are seen once.
`background` draws sources in the shares of `MIX` until there are as many packets as were asked for.
The kilonova is not drawn: it is that of `ampelstream.simulate.at2017gfo`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final

from ampelstream.simulate.at2017gfo import OBJECT_ID, kilonova, kilonova_exposures
from ampelstream.simulate.mocksky import Galaxy, Sky, offset
from ampelstream.simulate.observer import Observer, Packet
from ampelstream.simulate.source import (
    Flux,
    Kind,
    Measure,
    Measurement,
    Neighbours,
    Source,
    bogus_look,
    clean_look,
    flux_of,
    mixed_look,
    near_galaxy,
    near_star,
    on_galaxy,
    on_star,
    photometry,
)
from ampelstream.simulate.survey import T0_JD, Exposure, Survey, spot

__all__ = [
    "MIX",
    "agn",
    "artefact",
    "asteroid",
    "background",
    "dwarf_nova",
    "kilonova_packets",
    "supernova",
    "variable_star",
    "young_supernova",
]

_HOST_SHARE: Final = 0.5  # of old supernovae whose host is in the galaxy table
_YOUNG_HOST_SHARE: Final = 0.75
_COLOUR: Final = {1: 0.0, 2: 0.05, 3: 0.2}  # magnitudes fainter than in g


def _slow(rng: Random, exploded: float, peak_mag: float) -> Flux:
    """Rise as time squared, an exponential decline: roughly a supernova of type Ia."""
    rise, decline = rng.uniform(14.0, 20.0), rng.uniform(0.03, 0.09)

    def difference(jd: float, fid: int) -> float:
        age = jd - exploded
        if age < 0.0:
            return 0.0
        peak = flux_of(peak_mag + _COLOUR[fid])
        past = math.pow(10.0, -0.4 * decline * max(0.0, age - rise))
        return peak * min(1.0, age / rise) ** 2 * past

    return difference


def _quick(rng: Random, exploded: float, peak_mag: float) -> Flux:
    """A rise within days, then a plateau: roughly a core-collapse supernova."""
    rise = rng.uniform(1.0, 3.0)

    def difference(jd: float, fid: int) -> float:
        age = jd - exploded
        return flux_of(peak_mag + _COLOUR[fid]) * -math.expm1(-age / rise) if age > 0.0 else 0.0

    return difference


def _in_host(rng: Random, host: Galaxy) -> tuple[float, float, Neighbours]:
    """Position in a galaxy and the neighbours there: most hosts are within 10 arcsec."""
    away = rng.uniform(1.7, 9.0)
    ra, dec = offset(host.ra, host.dec, away, rng)
    return ra, dec, near_galaxy(rng, away)


def _apparent(rng: Random, host: Galaxy) -> float:
    return rng.uniform(-18.8, -16.8) + 5.0 * math.log10(host.distance_mpc) + 25.0


def supernova(rng: Random, sky: Sky) -> Source:
    """A supernova that the survey has followed for weeks when the trigger comes."""
    exploded = T0_JD - rng.uniform(9.0, 110.0)
    if rng.random() < _HOST_SHARE:
        host = sky.galaxy(rng)
        ra, dec, neighbours = _in_host(rng, host)
        mag = max(15.0, _apparent(rng, host))
    else:
        ra, dec = sky.position(rng)
        neighbours, mag = near_galaxy(rng, rng.uniform(0.2, 6.0)), rng.uniform(17.0, 19.2)
    return Source(
        kind=Kind.SUPERNOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_slow(rng, exploded, mag)),
        neighbours=neighbours,
        look=clean_look,
        known_since=exploded + 6.0,
    )


def young_supernova(rng: Random, sky: Sky) -> Source:
    """A supernova that exploded after the trigger, too far away to belong to it."""
    exploded = T0_JD + rng.uniform(0.0, 3.0)
    if rng.random() < _YOUNG_HOST_SHARE:
        host = sky.distant_galaxy(rng)
        ra, dec, neighbours = _in_host(rng, host)
        mag = _apparent(rng, host)
    else:
        ra, dec = sky.position(rng, near=0.8)
        neighbours, mag = near_galaxy(rng, rng.uniform(0.2, 6.0)), rng.uniform(18.0, 19.5)
    return Source(
        kind=Kind.YOUNG_SUPERNOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_quick(rng, exploded, mag)),
        neighbours=neighbours,
        look=clean_look,
    )


_COUNTERPART_SHARE: Final = 0.4  # of dwarf novae whose quiescent star is catalogued
_QUASAR_SHARE: Final = 0.6  # of active nuclei without a galaxy in the catalogue


def variable_star(rng: Random, sky: Sky) -> Source:
    """A periodic star: brighter than its reference half of the time, known for long."""
    ra, dec = sky.stellar(rng)
    mag = rng.uniform(14.5, 19.0)
    flux, swing = flux_of(mag), rng.uniform(0.1, 0.9)
    period, phase = 10.0 ** rng.uniform(-0.5, 2.0), rng.uniform(0.0, 2.0 * math.pi)

    def difference(jd: float, fid: int) -> float:
        wave = math.sin(2.0 * math.pi * (jd - T0_JD) / period + phase)
        return flux * (math.pow(10.0, -0.4 * swing * wave / math.sqrt(fid)) - 1.0)

    return Source(
        kind=Kind.VARIABLE_STAR,
        ra=ra,
        dec=dec,
        measure=photometry(difference),
        neighbours=on_star(rng, mag),
        look=mixed_look,
        known_since=T0_JD - rng.uniform(101.0, 500.0),
    )


def agn(rng: Random, sky: Sky) -> Source:
    """An active nucleus: slow changes for years."""
    if rng.random() < _QUASAR_SHARE:
        ra, dec = sky.position(rng)
    else:
        galaxy = sky.galaxy(rng)
        ra, dec = offset(galaxy.ra, galaxy.dec, abs(rng.gauss(0.0, 0.3)), rng)
    flux = flux_of(rng.uniform(16.5, 19.0))
    waves = [
        (10.0 ** rng.uniform(1.2, 2.7), rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.1, 0.3))
        for _ in range(4)
    ]

    def difference(jd: float, _fid: int) -> float:
        return flux * sum(a * math.sin((jd - T0_JD) * 2.0 * math.pi / p + s) for p, s, a in waves)

    return Source(
        kind=Kind.AGN,
        ra=ra,
        dec=dec,
        measure=photometry(difference),
        neighbours=on_galaxy(rng),
        look=mixed_look,
        known_since=T0_JD - rng.uniform(150.0, 500.0),
    )


def _outburst(rng: Random) -> Flux:
    start, peak = T0_JD + rng.uniform(0.0, 3.5), flux_of(rng.uniform(16.5, 18.8))
    plateau, decline = rng.uniform(1.0, 4.0), rng.uniform(0.4, 1.0)

    def difference(jd: float, _fid: int) -> float:
        age = jd - start
        if age < 0.0:
            return 0.0
        fading = math.pow(10.0, -0.4 * decline * max(0.0, age - plateau))
        return peak * min(1.0, age / 0.4) * fading

    return difference


def dwarf_nova(rng: Random, sky: Sky) -> Source:
    """An outburst that began after the trigger; its star is often too faint to be catalogued."""
    ra, dec = sky.position(rng)
    seen = rng.random() < _COUNTERPART_SHARE
    return Source(
        kind=Kind.DWARF_NOVA,
        ra=ra,
        dec=dec,
        measure=photometry(_outburst(rng)),
        neighbours=on_star(rng, rng.uniform(19.0, 21.0)) if seen else near_star(rng),
        look=clean_look,
    )


_UNKNOWN_SHARE: Final = 0.1  # of asteroids that no catalogue predicts
_NEGATIVE_SHARE: Final = 0.4
_STAR_SHARE: Final = 0.5


def _once(exposure: Exposure, mag: float, *, positive: bool) -> Measure:
    flux = flux_of(mag) * (1.0 if positive else -1.0)
    seen = photometry(lambda _jd, _fid: flux)

    def measure(other: Exposure, rng: Random) -> Measurement | None:
        return seen(other, rng) if other == exposure else None

    return measure


def asteroid(rng: Random, sky: Sky) -> Source:
    """A moving object: one detection at its position, mostly with a known one beside it."""
    ra, dec = sky.position(rng)
    exposure = sky.exposure(rng, ra, dec)
    mag = rng.uniform(16.5, exposure.limmag - 0.5)
    known = None
    if rng.random() >= _UNKNOWN_SHARE:
        name = str(rng.randrange(1_000, 400_000))
        known = (abs(rng.gauss(0.0, 1.5)), mag + rng.gauss(0.3, 0.2), name)
    return Source(
        kind=Kind.ASTEROID,
        ra=ra,
        dec=dec,
        measure=_once(exposure, mag, positive=True),
        neighbours=near_star(rng),
        look=mixed_look,
        solar=known,
    )


def artefact(rng: Random, sky: Sky) -> Source:
    """A bad subtraction; every second one at a star, and then not for the first time."""
    ra, dec = sky.stellar(rng)
    exposure = sky.exposure(rng, ra, dec)
    mag = rng.uniform(15.5, exposure.limmag - 0.3)
    star = rng.random() < _STAR_SHARE
    return Source(
        kind=Kind.ARTEFACT,
        ra=ra,
        dec=dec,
        measure=_once(exposure, mag, positive=rng.random() >= _NEGATIVE_SHARE),
        neighbours=on_star(rng, rng.uniform(12.0, 18.0)) if star else near_star(rng),
        look=bogus_look,
        known_since=T0_JD - rng.uniform(10.0, 500.0) if star else None,
    )


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
        if (name := f"ZTF17sim{digits}") != OBJECT_ID:
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
    exposures = kilonova_exposures(survey)
    for packet in observer.packets(kilonova(), OBJECT_ID, exposures):
        yield Kind.KILONOVA, packet
