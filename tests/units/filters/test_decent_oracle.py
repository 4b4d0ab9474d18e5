"""DecentFilter against AMPEL's own, on 714 real alerts and four configurations."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.alerts import batches
from ampelstream.model.alert import Alert
from ampelstream.units.filters.decent import DecentFilter

pytestmark = pytest.mark.realdata


class Decoded:
    """History of a packet that was decoded whole."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] | None) -> None:
        self.rows = rows or ()

    def epochs(self) -> list[float]:
        return [row["jd"] for row in self.rows if row.get("candid") is not None]

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


def test_every_verdict_on_columns_is_that_of_ampel(data_dir: Path) -> None:
    oracle = json.loads((data_dir / "oracles" / "decent_filter_verdicts.json").read_text())
    filters = {name: DecentFilter(**cuts) for name, cuts in oracle["configs"].items()}
    asked = reduce(or_, (unit.asks() for unit in filters.values()))
    cases = [case for case in oracle["verdicts"] if case["record"] == 0]
    packets = [(data_dir / case["file"]).read_bytes() for case in cases]
    judged = 0
    for batch, numbers in batches(packets, asked):
        assert not batch.faults
        for name, unit in filters.items():
            verdicts = unit.judge(batch)
            for number, code in zip(numbers, verdicts.codes.tolist(), strict=True):
                theirs = cases[number]["verdict"][name]
                ours = (code == 0, verdicts.reasons[code - 1] if code else None)
                assert ours == (theirs["accept"], theirs.get("reason")), cases[number]["file"]
                judged += 1
    assert judged == 4 * len(cases)
    assert len(cases) >= 700
