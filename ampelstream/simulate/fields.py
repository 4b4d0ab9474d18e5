"""The fields of packets: what ZTF's pipeline would write for an exposure and a detection.

Fields that no unit of the project reads have plausible constants.
"""

from typing import Any, Final

from ampelstream.simulate.schema import PREVIOUS
from ampelstream.simulate.source import Look, Measurement, Neighbours, Source
from ampelstream.simulate.survey import PIXELS, Exposure, Spot

__all__ = ["Packet", "closing_fields", "detection_fields", "limit_fields"]

Packet = dict[str, Any]
"""A packet as plain data."""

_NOTHING: Final = -999.0  # ZTF's number for "none within reach"
_PIXEL_ARCSEC: Final = 1.01
_REFERENCE_JD: Final = (2457500.5, 2457700.5)
_EMPTY: Final[tuple[str, ...]] = tuple(word.split(":")[0] for word in PREVIOUS.split())


def _image(exposure: Exposure, place: Spot) -> dict[str, Any]:
    return {
        "jd": exposure.jd,
        "fid": exposure.fid,
        "pid": exposure.pid(place.rcid),
        "diffmaglim": exposure.limmag,
        "pdiffimfilename": f"simulated_{place.field:06d}_{exposure.nid}_{place.rcid:02d}.fits",
        "programpi": "simulation",
        "programid": 1,
        "nid": exposure.nid,
        "rcid": place.rcid,
        "field": place.field,
        "magzpsci": 26.2,
        "magzpsciunc": 5e-6,
        "magzpscirms": 0.03,
        "clrcoeff": 0.1,
        "clrcounc": 1e-5,
        "rbversion": "simulated",
    }


def limit_fields(exposure: Exposure, place: Spot) -> dict[str, Any]:
    """History entry of an exposure that shows nothing."""
    entry: dict[str, Any] = dict.fromkeys(_EMPTY)
    return entry | _image(exposure, place)


def detection_fields(
    exposure: Exposure,
    place: Spot,
    seen: Measurement,
    look: Look,
    position: tuple[float, float],
    neighbours: Neighbours,
) -> dict[str, Any]:
    """History entry of a detection, without its number and candid.

    Parameters
    ----------
    exposure, place
        When, and where on the detector.
    seen
        Brightness.
    look
        How clean it looks.
    position
        Measured (ra, dec) [deg].
    neighbours
        What is catalogued around it.
    """
    aperture = seen.mag + look.magdiff
    major = 0.3 * look.fwhm * look.elong**0.5
    minor = 0.3 * look.fwhm / look.elong**0.5
    edges = (place.xpos, place.ypos, PIXELS[0] - place.xpos, PIXELS[1] - place.ypos)
    return _image(exposure, place) | {
        "isdiffpos": "t" if seen.positive else "f",
        "xpos": place.xpos,
        "ypos": place.ypos,
        "ra": round(position[0] % 360.0, 7),
        "dec": round(position[1], 7),
        "magpsf": seen.mag,
        "sigmapsf": seen.magerr,
        "chipsf": 1.5,
        "magap": aperture,
        "sigmagap": 0.7 * seen.magerr,
        "distnr": neighbours.distances[0] / _PIXEL_ARCSEC,
        "magnr": neighbours.mag,
        "sigmagnr": 0.02,
        "chinr": 0.8,
        "sharpnr": 0.0,
        "sky": 0.5,
        "magdiff": look.magdiff,
        "fwhm": look.fwhm,
        "classtar": 0.98,
        "mindtoedge": min(edges),
        "magfromlim": exposure.limmag - aperture,
        "seeratio": 1.0,
        "aimage": major,
        "bimage": minor,
        "aimagerat": major / look.fwhm,
        "bimagerat": minor / look.fwhm,
        "elong": look.elong,
        "nneg": 1,
        "nbad": look.nbad,
        "rb": look.rb,
        "ssdistnr": None,
        "ssmagnr": None,
        "ssnamenr": None,
        "sumrat": 0.97,
        "magapbig": aperture,
        "sigmagapbig": 0.9 * seen.magerr,
        "ranr": round(position[0] % 360.0, 7),
        "decnr": round(position[1] - neighbours.distances[0] / 3600.0, 7),
        "scorr": 1.0857 / seen.magerr,
    }


def _neighbour_fields(neighbours: Neighbours) -> dict[str, Any]:
    made: dict[str, Any] = {}
    pairs = zip(neighbours.scores, neighbours.distances, strict=True)
    for number, (score, distance) in enumerate(pairs, start=1):
        mag = neighbours.mag + 0.8 * (number - 1)
        for colour, band in zip((0.4, 0.0, -0.2, -0.3), "griz", strict=True):
            made[f"s{band}mag{number}"] = mag + colour
        made[f"objectidps{number}"] = int(distance * 1e6) + number
        made[f"sgscore{number}"] = score
        made[f"distpsnr{number}"] = distance
    return made


def closing_fields(
    source: Source, exposure: Exposure, first_jd: float, detections: int
) -> dict[str, Any]:
    """Fields that only an alert's own detection has, without ``drb``.

    Parameters
    ----------
    source
        What was seen.
    exposure
        In which exposure.
    first_jd
        First detection ever [JD].
    detections
        How many there have been, this one included.
    """
    solar = source.solar if source.solar is not None else (_NOTHING, _NOTHING, "null")
    return _neighbour_fields(source.neighbours) | {
        "ssdistnr": solar[0],
        "ssmagnr": solar[1],
        "ssnamenr": solar[2],
        "ndethist": detections,
        "ncovhist": 10 * detections + 90,
        "jdstarthist": first_jd,
        "jdendhist": exposure.jd,
        "tooflag": 0,
        "nmtchps": 6,
        "rfid": 1,
        "jdstartref": _REFERENCE_JD[0],
        "jdendref": _REFERENCE_JD[1],
        "nframesref": 15,
        "dsnrms": 8.0,
        "ssnrms": 20.0,
        "dsdiff": -12.0,
        "nmatches": 600,
        "zpclrcov": -6e-6,
        "zpmed": 26.2,
        "clrmed": 0.7,
        "clrrms": 0.3,
        "neargaia": source.neighbours.distances[0],
        "neargaiabright": _NOTHING,
        "maggaia": source.neighbours.mag,
        "maggaiabright": _NOTHING,
        "exptime": 30.0,
        "drbversion": "simulated",
    }
