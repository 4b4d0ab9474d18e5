"""Alerts that are judged together come to the same as each by itself."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ampelstream.codecs.alerts import batches, datapoints, decode
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.core.accounting import Accounting, CountKey
from ampelstream.core.ingest import Ingest
from ampelstream.core.judging import asked_of, judge, rejection
from ampelstream.errors import DecodeError, UnitError
from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Output
from ampelstream.simulate import simulate_packets
from ampelstream.topology import Topology
from ampelstream.units import ACCEPT, AlertFilter, Verdict, Verdicts

NOW = 4e9

CHANNELS = """
name: several
version: 1
channels:
  decent: {filters: [{unit: DecentFilter, config: DECENT}]}
  bright: {alerts: {where: "magpsf < 19 and isdiffpos in ['t', '1']"}}
  odd: {alerts: {where: "'t' in isdiffpos"}, filters: [{unit: "test_judging:Even"}]}
  mixed:
    alerts: {where: fid == 1}
    filters:
    - {unit: "test_judging:Bright", config: {limit: 18.5}}
    - {unit: "test_judging:Even"}
    - {unit: "test_judging:Bright", name: Brighter, config: {limit: 17}}
  broken: {filters: [{unit: "test_judging:Breaks"}]}
  rubin: {alerts: {survey: lsst}}
"""
DECENT = """
{min_ndet: 2, min_tspan: 0.01, max_tspan: 40, min_archive_tspan: -99, max_archive_tspan: 5000,
 min_drb: 0.1, min_rb: 0.3, max_fwhm: 5.5, max_elong: 2, max_magdiff: 1, max_nbad: 2,
 min_sso_dist: 20, min_gal_lat: 10, ps1_sgveto_rad: 1, ps1_sgveto_th: 0.8, ps1_confusion_rad: 3,
 ps1_confusion_sg_tol: 0.1, gaia_rs: 0, gaia_pm_signif: 3, gaia_plx_signif: 3,
 gaia_veto_gmag_min: 9, gaia_veto_gmag_max: 20, gaia_excessnoise_sig_max: 999}
""".replace("\n", " ")


class Even(AlertFilter):
    """Sees one alert at a time."""

    def evaluate(self, alert: Any) -> Verdict:
        return ACCEPT if alert.candid % 2 == 0 else Verdict(accept=False, reason="odd")


class Bright(AlertFilter):
    """Sees columns, too."""

    limit: float

    def evaluate(self, alert: Any) -> Verdict:
        bright = alert.candidate["magpsf"] < self.limit
        return ACCEPT if bright else Verdict(accept=False, reason=f"faint{self.limit}")

    def asks(self) -> Asked:
        return Asked(frozenset({"magpsf"}))

    def judge(self, batch: AlertBatch) -> Verdicts:
        codes = (~(batch.number("magpsf")[0] < self.limit)).astype("int16")
        return Verdicts(codes, (f"faint{self.limit}",))


class Breaks(Even):
    """Fails on columns, and on some alerts."""

    def evaluate(self, alert: Any) -> Verdict:
        if alert.candid % 3 == 0:
            raise ValueError("three")
        return super().evaluate(alert)

    def asks(self) -> Asked:
        return Asked()

    def judge(self, batch: AlertBatch) -> Verdicts:
        raise ZeroDivisionError(len(batch))


@pytest.fixture
def several(make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch) -> Topology:
    monkeypatch.setitem(sys.modules, "test_judging", sys.modules[__name__])
    return make_topology(CHANNELS.replace("DECENT", DECENT))


def records(values: Sequence[bytes]) -> list[SourceRecord]:
    return [SourceRecord(Coordinates("here", 0, n), "alerts", one) for n, one in enumerate(values)]


Came = tuple[list[bytes], dict[CountKey, int]]


def came(
    topology: Topology, parts: Iterator[Sequence[SourceRecord]] | Any, schemas: Any = None
) -> Came:
    accounting = Accounting()
    tally = accounting.tally()
    ingest = Ingest(topology, tally, lambda: NOW, schemas=schemas)
    outputs: list[Output] = []
    for part in parts:
        outputs += ingest.process(part)
    ingest.committed()
    return [
        msgspec.msgpack.encode([o.stream, o.key, o.value]) for o in outputs
    ], accounting.counts()


def spoiled(packets: Sequence[bytes], number: int) -> list[bytes]:
    dice = random.Random(7)  # noqa: S311  (a reproducible test, not a secret)
    found = list(packets)
    for _ in range(number):
        packet = bytearray(dice.choice(packets))
        for _ in range(dice.randint(1, 4)):
            packet[dice.randrange(len(packet) // 2, len(packet))] = dice.randrange(256)
        found.append(bytes(packet)[: dice.randint(len(packet) // 2, len(packet))])
    dice.shuffle(found)
    return [*found, b"", b"Obj", b"{}", b"\0\0\0\1\2rest"]


def test_together_or_one_by_one(several: Topology) -> None:
    values = spoiled(simulate_packets(60), 60)
    alone = came(several, ([one] for one in records(values)))
    assert came(several, [records(values)]) == alone
    counts = alone[1]
    assert any(key[-1].startswith("faint") for key in counts)
    for reason in ("nDet", "where", "odd", "survey"):
        assert any(key[0] == "rejected" and key[-1] == reason for key in counts), reason
    assert counts["failed", "alerts"] > 30
    assert counts["passed",] > 30


def test_the_channels_say_of_columns_what_they_say_of_alerts(several: Topology) -> None:
    packets = simulate_packets(80)
    ((batch, rows),) = batches(packets, asked_of(several.channels))
    judged = judge(several.channels, batch)
    for row, packet in zip(rows, packets, strict=True):
        alert, outcome = decode(packet), judged.outcomes[row]
        assert outcome is not None
        left = {channel.name for channel, _ in outcome.open}
        for channel in several.channels:
            if channel.name in left:
                assert channel.name in {"odd", "mixed", "broken"}
                continue
            reason = rejection(channel, alert)
            assert outcome.rejected.get(channel.name, "") == reason
            assert (channel.name in outcome.accepted) == (not reason)
        if not outcome.is_settled:
            assert list(judged.alert(row).datapoints) == datapoints(alert)


SCRIPT = """
import hashlib, sys
from tests.core.test_judging import came, records, spoiled
from ampelstream.cli.workflow import open_topology
from ampelstream.simulate import simulate_packets
from pathlib import Path
_, topology = open_topology("kilonova", Path(sys.argv[1]))
outputs, counts = came(topology, [records(spoiled(simulate_packets(50), 400))])
assert counts["failed", "alerts"] > 100
print(hashlib.sha256(b"".join(outputs)).hexdigest(), sorted(counts.items()))
"""


def test_the_same_dead_letters_compiled_and_plain(tmp_path: Path) -> None:
    def told(interpreter: str) -> str:
        there = {**os.environ, "AMPELSTREAM_INTERPRETER": interpreter}
        command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
        root = Path(__file__).parents[2]
        done = subprocess.run(
            command, env=there, cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert told("plain") == told("")


@pytest.mark.realdata
@pytest.mark.slow
def test_real_packets_of_every_kind(several: Topology, data_dir: Path) -> None:
    files = [*(data_dir / "ztf").rglob("*.avro"), *(data_dir / "lsst").rglob("*.avro")]
    values = [path.read_bytes() for path in sorted([*files, *(data_dir / "malformed").iterdir()])]
    schemas = FixedSchemas(
        {
            int(path.stem): msgspec.json.decode(path.read_bytes())
            for path in (data_dir / "lsst" / "schemas").glob("*.avsc")
        }
    )
    assert len(values) > 840
    alone = came(several, ([one] for one in records(values)), schemas)
    assert came(several, [records(values)], schemas) == alone
    columns = 0
    for batch, rows in batches(values, asked_of(several.channels), schemas):
        points = batch.datapoints([row for row in range(len(rows)) if row not in batch.faults])
        for row, found in points.items():
            alert = decode(values[rows[row]], schemas)
            same = (alert.object_id, alert.candid, alert.jd, alert.ra, alert.dec)
            place = (batch.jd[row], batch.ra[row], batch.dec[row])
            assert (batch.object_id(row), batch.candid(row), *place) == same
            assert found == datapoints(alert)
            if batch.survey == "ztf":
                offsets, jds = batch.epochs()
                past = jds[offsets[row] : offsets[row + 1]].tolist()
                assert past == list(alert.history.epochs())
            else:  # no channel asks for them
                with pytest.raises(UnitError):
                    batch.epochs()
            columns += 1
    assert columns > 800


class Wrong(Even):
    """Gives codes that are none."""

    how: str

    def asks(self) -> Asked:
        return Asked()

    def judge(self, batch: AlertBatch) -> Verdicts:
        wrong: dict[str, Any] = {
            "long": np.zeros(len(batch) + 1, np.int16),
            "list": [0] * len(batch),
            "beyond": np.full(len(batch), 7),
            "negative": np.full(len(batch), -1),
            "float": np.full(len(batch), np.nan),
            "epochs": batch.epochs if self.how == "epochs" else None,
        }
        if self.how == "epochs":
            batch.epochs()
        return Verdicts(wrong[self.how], ("reason",))


@pytest.mark.parametrize("how", ["long", "beyond", "negative", "float", "epochs"])
def test_a_wrong_answer_of_a_filter_costs_nobody_anything(
    how: str, make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "test_judging", sys.modules[__name__])
    text = "name: wrong\nversion: 1\nchannels:\n  one: {filters: [{unit: UNIT}]}"
    unit = f'"test_judging:Wrong", config: {{how: {how}}}'
    values = simulate_packets(10)
    wrong = came(make_topology(text.replace("UNIT", unit)), [records(values)])
    right = came(make_topology(text.replace("UNIT", '"test_judging:Even"')), [records(values)])
    # that they were asked one by one is seen
    assert wrong[1].pop(("unit_runs", "one", "Wrong")) == 10
    assert right[1].pop(("unit_runs", "one", "Even")) == 10
    assert wrong[1] == right[1]


class Bare(Bright):
    """Gives no reasons."""

    def evaluate(self, alert: Any) -> Verdict:
        return Verdict(accept=super().evaluate(alert).accept)

    def asks(self) -> None:  # type: ignore[override]  # (one by one, as filters are by default)
        return None


class BareOfColumns(Bright):
    """Gives none of columns either."""

    def evaluate(self, alert: Any) -> Verdict:  # noqa: ARG002  (it refuses to be asked)
        raise AssertionError("asked by itself")

    def judge(self, batch: AlertBatch) -> Verdicts:
        return Verdicts(super().judge(batch).codes, ("",))


@pytest.mark.parametrize("unit", ["Bare", "BareOfColumns"])
def test_a_rejection_without_a_reason_is_one(
    unit: str, make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "test_judging", sys.modules[__name__])
    entry = f'{{unit: "test_judging:{unit}", config: {{limit: 18.5}}}}'
    topology = make_topology(f"name: bare\nversion: 1\nchannels:\n  one: {{filters: [{entry}]}}")
    values = simulate_packets(40)
    bright = sum(decode(value).candidate["magpsf"] < 18.5 for value in values)
    _, counts = came(topology, [records(values)])
    assert 0 < bright < len(values)
    assert counts["rejected", "one", unit] == len(values) - bright
    assert counts["passed",] == bright


class BreaksOnce(Even):
    """Fails on a batch that holds the first alert."""

    first: int

    def evaluate(self, alert: Any) -> Verdict:
        if alert.candid == self.first:
            raise ValueError("this one")
        return ACCEPT

    def asks(self) -> Asked:
        return Asked()

    def judge(self, batch: AlertBatch) -> Verdicts:
        if self.first in {batch.candid(row) for row in range(len(batch))}:
            raise ValueError("this one is among them")
        return Verdicts(np.zeros(len(batch), np.int16), ())


def test_an_alert_that_a_filter_fails_on_costs_its_neighbours_nothing(
    make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> None:
    # what nobody asks for is not text: columns do not look at it, decoding would
    values = list(simulate_packets(8))
    values[2] = values[2].replace(b"ampelstream simulation", b"ampelstr\xe9am simulation")
    with pytest.raises(DecodeError):
        decode(values[2])
    monkeypatch.setitem(sys.modules, "test_judging", sys.modules[__name__])
    config = f"{{first: {decode(values[5]).candid}}}"
    unit = f'{{unit: "test_judging:BreaksOnce", config: {config}}}'
    topology = make_topology(f"name: once\nversion: 1\nchannels:\n  one: {{filters: [{unit}]}}")
    together = came(topology, [records(values)])
    assert together == came(topology, ([one] for one in records(values)))
    assert (together[1]["passed",], together[1]["failed", "alerts"]) == (7, 1)
