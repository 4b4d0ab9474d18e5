"""AT2017gfo, the kilonova of GW170817, from its published photometry.

Magnitudes [AB, not corrected for extinction] and errors as published by Andreoni et al. 2017 (PASA
34, e069), Arcavi et al. 2017 (Nature 551, 64), Cowperthwaite et al. 2017 (ApJL 848, L17), Drout et
al. 2017 (Science 358, 1570) and Smartt et al. 2017 (Nature 551, 75), gathered by Villar et al. 2017
(ApJL 851, L21). Position: Coulter et al. 2017 (Science 358, 1556), to five decimals. ZTF did not
observe it; what is simulated is that it had, at these times, with its fields.
"""

from random import Random
from typing import Final

from ampelstream.simulate.source import Kind, Measurement, Neighbours, Source, clean_look
from ampelstream.simulate.survey import T0_JD, Exposure, Survey, spot

__all__ = ["DEC", "OBJECT_ID", "PHOTOMETRY", "RA", "kilonova", "kilonova_exposures"]

OBJECT_ID: Final = "ZTF17simagfo"
RA: Final = 197.45035
DEC: Final = -23.38148

PHOTOMETRY: Final = (
    (57983.000, "g", 17.41, 0.02),
    (57983.000, "r", 17.56, 0.04),
    (57983.000, "i", 17.48, 0.03),
    (57983.420, "g", 17.46, 0.08),
    (57983.420, "r", 17.32, 0.07),
    (57983.969, "g", 18.49, 0.04),
    (57983.969, "r", 17.99, 0.01),
    (57983.969, "i", 17.85, 0.05),
    (57984.370, "g", 19.28, 0.17),
    (57984.370, "r", 18.34, 0.11),
    (57984.969, "g", 20.19, 0.11),
    (57984.969, "r", 19.13, 0.17),
    (57984.969, "i", 18.58, 0.04),
    (57985.974, "g", 21.13, 0.16),
    (57985.974, "r", 19.81, 0.02),
    (57985.974, "i", 19.03, 0.01),
    (57986.974, "r", 20.53, 0.05),
    (57986.974, "i", 19.51, 0.04),
    (57987.980, "i", 19.55, 0.18),
    (57990.000, "i", 20.54, 0.05),
)
"""(MJD of the epoch, band, magnitude [AB], its 1-sigma error)."""

_LIMITS: Final = {"g": 20.9, "r": 20.8, "i": 20.6}  # what the simulated survey reaches there
_FIDS: Final = {"g": 1, "r": 2, "i": 3}
_MJD_ZERO: Final = 2400000.5
_EXPOSURE_GAP: Final = 300.0 / 86400.0  # d: bands of one epoch are taken five minutes apart
_HOST_ARCSEC: Final = 9.93  # from the nucleus of NGC 4993 as GLADE+ has it


def _published() -> dict[Exposure, Measurement | None]:
    made: dict[Exposure, Measurement | None] = {}
    for mjd, band, mag, magerr in PHOTOMETRY:
        jd = round(_MJD_ZERO + mjd + _FIDS[band] * _EXPOSURE_GAP, 7)
        limit = _LIMITS[band]
        seen = Measurement(mag, magerr, positive=True) if mag < limit else None
        made[Exposure(jd, _FIDS[band], limit)] = seen
    return made


def kilonova_exposures(survey: Survey) -> list[Exposure]:
    """Exposures of its field: the survey's own before the trigger, the published ones after it."""
    before = [one for one in survey.exposures(spot(RA, DEC).field) if one.jd < T0_JD]
    return before + sorted(_published(), key=lambda one: one.jd)


def kilonova() -> Source:
    """Give the source."""
    published = _published()

    def measure(exposure: Exposure, _rng: Random) -> Measurement | None:
        return published.get(exposure)

    return Source(
        kind=Kind.KILONOVA,
        ra=RA,
        dec=DEC,
        measure=measure,
        neighbours=Neighbours((0.03, 0.4, 0.8), (_HOST_ARCSEC, 15.2, 22.8), 12.4),
        look=clean_look,
        scatter_arcsec=0.01,
    )
