"""The Avro schema of the simulated packets.

Names, order and types of the fields are those of the public ZTF alert packets, schema 4.02, so that
whatever reads a simulated packet reads a real one; the schema itself is written here.
"""

from typing import Any, Final

__all__ = ["CANDIDATE", "PREVIOUS", "VERSION", "packet_schema"]

VERSION: Final = "4.02"
"""What a packet says in ``schemavsn``."""

_TYPES: Final = {"d": "double", "f": "float", "i": "int", "l": "long", "s": "string", "b": "bytes"}

# One word per field: name:type, a capital letter for a type that may also be null.
_IMAGE = "jd:d fid:i pid:l diffmaglim:F pdiffimfilename:S programpi:S programid:i"
_PLACE = "tblid:L nid:I rcid:I field:I xpos:F ypos:F"
_SHAPE = (
    "chipsf:F magap:F sigmagap:F distnr:F magnr:F sigmagnr:F chinr:F sharpnr:F sky:F magdiff:F "
    "fwhm:F classtar:F mindtoedge:F magfromlim:F seeratio:F aimage:F bimage:F aimagerat:F "
    "bimagerat:F elong:F nneg:I nbad:I rb:F ssdistnr:F ssmagnr:F ssnamenr:S sumrat:F magapbig:F "
    "sigmagapbig:F"
)

CANDIDATE: Final = (
    f"{_IMAGE} candid:l isdiffpos:s {_PLACE} ra:d dec:d magpsf:f sigmapsf:f {_SHAPE} "
    "ranr:d decnr:d sgmag1:F srmag1:F simag1:F szmag1:F sgscore1:F distpsnr1:F ndethist:i "
    "ncovhist:i jdstarthist:D jdendhist:D scorr:D tooflag:I objectidps1:L objectidps2:L sgmag2:F "
    "srmag2:F simag2:F szmag2:F sgscore2:F distpsnr2:F objectidps3:L sgmag3:F srmag3:F simag3:F "
    "szmag3:F sgscore3:F distpsnr3:F nmtchps:i rfid:l jdstartref:d jdendref:d nframesref:i "
    "rbversion:s dsnrms:F ssnrms:F dsdiff:F magzpsci:F magzpsciunc:F magzpscirms:F nmatches:i "
    "clrcoeff:F clrcounc:F zpclrcov:F zpmed:F clrmed:F clrrms:F neargaia:F neargaiabright:F "
    "maggaia:F maggaiabright:F exptime:F drb:F drbversion:s"
)
"""Fields of an alert's own detection, as words ``name:type``."""

PREVIOUS: Final = (
    f"{_IMAGE} candid:L isdiffpos:S {_PLACE} ra:D dec:D magpsf:F sigmapsf:F {_SHAPE} "
    "ranr:D decnr:D scorr:D magzpsci:F magzpsciunc:F magzpscirms:F clrcoeff:F clrcounc:F "
    "rbversion:s"
)
"""Fields of an earlier detection or upper limit, likewise."""

_FORCED: Final = (
    "field:I rcid:I fid:i pid:l rfid:l sciinpseeing:F scibckgnd:F scisigpix:F magzpsci:F "
    "magzpsciunc:F magzpscirms:F clrcoeff:F clrcounc:F exptime:F adpctdif1:F adpctdif2:F "
    "diffmaglim:F programid:i jd:d forcediffimflux:F forcediffimfluxunc:F procstatus:S distnr:F "
    "ranr:d decnr:d magnr:F sigmagnr:F chinr:F sharpnr:F"
)

_CUTOUT: Final = "fileName:s stampData:b"


def _field(word: str) -> dict[str, Any]:
    name, letter = word.split(":")
    kind = _TYPES[letter.lower()]
    if letter.islower():
        return {"name": name, "type": kind}
    return {"name": name, "type": ["null", kind], "default": None}


def _record(name: str, words: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [_field(word) for word in words.split()]}


def _optional(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}


def packet_schema() -> dict[str, Any]:
    """Give the schema of a packet, as plain data."""
    previous = {"type": "array", "items": _record("ztf.alert.prv_candidate", PREVIOUS)}
    forced = {"type": "array", "items": _record("ztf.alert.fp_hist", _FORCED)}
    fields = [
        *(_field(word) for word in ("schemavsn:s", "publisher:s", "objectId:s", "candid:l")),
        {"name": "candidate", "type": _record("ztf.alert.candidate", CANDIDATE)},
        _optional("prv_candidates", previous),
        _optional("fp_hists", forced),
        _optional("cutoutScience", _record("ztf.alert.cutout", _CUTOUT)),
        _optional("cutoutTemplate", "ztf.alert.cutout"),
        _optional("cutoutDifference", "ztf.alert.cutout"),
    ]
    return {
        "type": "record",
        "name": "ztf.alert",
        "doc": "ZTF-like alert packet of a simulation by ampelstream; no telescope saw it",
        "version": VERSION,
        "fields": fields,
    }
