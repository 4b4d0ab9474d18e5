"""The kilonova score against AMPEL's own, on 83 cases."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ampelstream.units.scores.kilonova import KilonovaScore, score
from ampelstream.units.scores.kilonova_cases import decode_case, score_case

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def cases(data_dir: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        (data_dir / "oracles" / "kilonovaness_cases.json").read_text()
    )["cases"]
    assert len(found) == 83
    return found


def test_mode_ampel_gives_the_same_in_every_case(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for one in cases:
        case = decode_case(json.dumps(one).encode())
        unit = KilonovaScore(**{"mode": "ampel", **case.input.config})
        ours = msgspec.to_builtins(score_case(unit, case))
        ours["rejects"] = [list(r) if isinstance(r, tuple) else r for r in ours["rejects"]]
        if ours != {"name": one["name"], **one["expected"]}:
            wrong.append((one["name"], ours, one["expected"]))
    assert wrong == []


def test_mode_corrected_differs_by_the_named_corrections_only(cases: list[dict[str, Any]]) -> None:
    kinds = {
        "T2DigestRedshifts": "redshift",
        "T2HealpixProb": "skymap",
        "T2RunPossis": "possis",
        "T2MatchGRB": "grb",
        "T2TabulatorRiseDecline": "risedecline",
        "T2CatalogMatch": "catalogs",
    }
    changed = 0
    for one in cases:
        given = one["input"]
        results = [(kinds[result["unit"]], result["body"]) for result in given["results"]]
        ours = score(KilonovaScore(**given["config"]), given["photopoints"], results)
        assert ours.score_ampel == one["expected"]["kilonovaness"]
        assert sum(line.points for line in ours.why) == ours.kilonovaness
        gained = ours.kilonovaness - ours.score_ampel
        assert gained in {0.0, 1.0}
        assert bool(gained) == any("absolute magnitude" in text for text in ours.corrections)
        changed += bool(gained)
    assert changed == 25
