"""DecentFilter against AMPEL's own, on 714 real alerts and four configurations."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.model.alert import Alert
from ampelstream.units.filters.decent import DecentFilter

pytestmark = pytest.mark.realdata


class Decoded:
    """History of a packet that was decoded whole."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] | None) -> None:
        self.rows = rows or ()

    def epochs(self) -> list[float]:
        return [row["jd"] for row in self.rows if row.get("candid") is not None]

    def measured(self) -> Sequence[Mapping[str, Any]]:
        return self.rows

    def points(self) -> Sequence[Mapping[str, Any]]:
        return self.rows

    def forced(self) -> tuple[()]:
        return ()


def _alert(path: Path, index: int) -> Alert:
    with path.open("rb") as file:
        packet: Any = list(fastavro.reader(file))[index]
    candidate = packet["candidate"]
    return Alert(
        survey="ztf",
        object_id=packet["objectId"],
        candid=packet["candid"],
        jd=candidate["jd"],
        ra=candidate["ra"],
        dec=candidate["dec"],
        candidate=candidate,
        history=Decoded(packet.get("prv_candidates")),
    )


def test_every_verdict_is_that_of_ampel(data_dir: Path) -> None:
    oracle = json.loads((data_dir / "oracles" / "decent_filter_verdicts.json").read_text())
    filters = {name: DecentFilter(**cuts) for name, cuts in oracle["configs"].items()}
    wrong: list[tuple[str, str, Any, Any]] = []
    reasons: Counter[str | None] = Counter()
    for case in oracle["verdicts"]:
        alert = _alert(data_dir / case["file"], case["record"])
        assert (alert.object_id, alert.candid) == (case["objectId"], case["candid"])
        for name, unit in filters.items():
            verdict = unit.evaluate(alert)
            ours = (verdict.accept, verdict.reason or None)
            theirs = (case["verdict"][name]["accept"], case["verdict"][name].get("reason"))
            reasons[theirs[1]] += 1
            if ours != theirs:
                wrong.append((case["file"], name, ours, theirs))
    assert wrong == []
    assert sum(reasons.values()) == 714 * 4
    assert len(reasons) == 13  # acceptance and all reasons but elong, magdiff, nbad and gaia
