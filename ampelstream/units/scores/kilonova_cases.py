"""Cases of the kilonova score, written down with the names of AMPEL's units."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from ampelstream.errors import DecodeError
from ampelstream.units.scores.kilonova import KilonovaRules, score

__all__ = ["Case", "CaseInput", "CaseResult", "decode_case", "score_case"]

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "T2DigestRedshifts": "redshift",
        "T2HealpixProb": "skymap",
        "T2RunPossis": "possis",
        "T2MatchGRB": "grb",
        "T2TabulatorRiseDecline": "risedecline",
        "T2CatalogMatch": "catalogs",
    }
)
"""AMPEL's units and the kinds of result that they give."""

_SHOWN = (
    "kilonovaness",
    "kilonovaness_dec",
    "z_kilonovaness",
    "lc_kilonovaness",
    "possis_kilonovaness",
    "cat_kilonovaness",
    "dist_kilonovaness",
    "is_gold",
    "rejects",
)


class CaseResult(msgspec.Struct, frozen=True):
    """Result of a unit: AMPEL's name of the unit, or a kind of result, and the body."""

    unit: str
    body: dict[str, Any] | None = None


class CaseInput(msgspec.Struct, frozen=True):
    """What is scored.

    Attributes
    ----------
    config
        Configuration of this case.
    photopoints
        Detections: jd [d], magpsf [mag], ra, dec [deg], rb, drb.
    results
        In the order in which they are read.
    """

    config: dict[str, Any] = {}
    photopoints: list[dict[str, Any]] = []
    results: list[CaseResult] = []


class Case(msgspec.Struct, frozen=True):
    """A named case."""

    name: str
    input: CaseInput


def decode_case(line: bytes) -> Case:
    """Read a case from a line of JSON.

    Raises
    ------
    DecodeError
        It has another shape.
    """
    try:
        return msgspec.json.decode(line, type=Case)
    except msgspec.MsgspecError as error:
        raise DecodeError(
            f"not a case: {error}. A line is an object with name and input, and input has config, "
            "photopoints and results (a list of unit and body)"
        ) from error


def score_case(rules: KilonovaRules, case: Case) -> dict[str, Any]:
    """Score a case; gives its name and the numbers that AMPEL's unit gives.

    Parameters
    ----------
    rules
        With the case's own configuration already in it.
    case
        The case.
    """
    results = [(_KINDS.get(one.unit, one.unit), one.body or {}) for one in case.input.results]
    scored = score(rules, case.input.photopoints, results)
    return {"name": case.name, **{key: getattr(scored, key) for key in _SHOWN}}
