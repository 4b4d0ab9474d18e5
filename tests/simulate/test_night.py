"""The night as a whole."""

import csv
import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pytest

from ampelstream.codecs.ztf import datapoints, decode
from ampelstream.errors import ConfigError
from ampelstream.model.alert import Alert
from ampelstream.simulate import Night, simulate_night, simulate_packets
from ampelstream.simulate.lvknotices import UPDATE
from ampelstream.simulate.survey import T0_JD
from ampelstream.units.filters.decent import DecentFilter

GW_CUTS: dict[str, Any] = {
    "min_ndet": 1,
    "min_tspan": -99,
    "max_tspan": 99,
    "min_archive_tspan": -99,
    "max_archive_tspan": 100,
    "min_drb": 0.995,
    "min_rb": 0.3,
    "max_fwhm": 5.5,
    "max_elong": 2,
    "max_magdiff": 1,
    "max_nbad": 2,
    "min_sso_dist": 20,
    "min_gal_lat": 14,
    "ps1_sgveto_rad": 1,
    "ps1_sgveto_th": 0.8,
    "ps1_confusion_rad": 3,
    "ps1_confusion_sg_tol": 0.1,
    "gaia_rs": 0,
    "gaia_pm_signif": 3,
    "gaia_plx_signif": 3,
    "gaia_veto_gmag_min": 9,
    "gaia_veto_gmag_max": 20,
    "gaia_excessnoise_sig_max": 999,
}
"""AMPEL's gravitational-wave configuration, without Gaia."""


def files(directory: Path) -> dict[str, str]:
    found = sorted(one for one in directory.rglob("*") if one.is_file())
    return {
        str(one.relative_to(directory)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in found
    }


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return simulate_night(tmp_path_factory.mktemp("night"), seed=3, alerts=1000)


@pytest.fixture(scope="module")
def packets(night: Night) -> list[bytes]:
    made = []
    with tarfile.open(night.alerts) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            made.append(file.read())
    return made


@pytest.fixture(scope="module")
def alerts(packets: list[bytes]) -> list[Alert]:
    return [decode(one) for one in packets]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulate_night(tmp_path / name, seed=seed, alerts=200)
    first, again, other = (files(tmp_path / name) for name in "abc")
    assert len(first) == 7
    assert again == first
    assert other["alerts.tar.gz"] != first["alerts.tar.gz"]


def test_too_small_a_night_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ask for 100"):
        simulate_night(tmp_path, alerts=99)
    with pytest.raises(ConfigError, match="ask for 1 "):
        simulate_packets(0)


def test_counts_and_truth_agree_with_the_packets(night: Night, alerts: list[Alert]) -> None:
    assert len(alerts) == sum(night.packets.values()) == 1000
    assert Counter(night.truth[one.object_id] for one in alerts) == night.packets
    assert set(night.truth) == {one.object_id for one in alerts}
    assert json.loads(night.truth_file.read_text()) == night.truth
    assert night.truth[night.kilonova] == "kilonova"
    assert set(night.packets) == {
        "agn",
        "artefact",
        "asteroid",
        "dwarf_nova",
        "kilonova",
        "supernova",
        "variable_star",
        "young_supernova",
    }


def test_packets_are_valid_avro_of_the_simulation(packets: list[bytes]) -> None:
    for value in packets[::10]:
        reader = fastavro.reader(io.BytesIO(value))
        rows: list[Any] = list(reader)
        assert len(rows) == 1
        assert fastavro.validate(rows[0], reader.writer_schema)
        assert rows[0]["publisher"] == "ampelstream simulation"
        assert rows[0]["candidate"]["candid"] == rows[0]["candid"]


def test_packets_are_in_order_of_time_and_unique(alerts: list[Alert]) -> None:
    assert [one.jd for one in alerts] == sorted(one.jd for one in alerts)
    assert len({one.candid for one in alerts}) == len(alerts)


def test_histories_are_consistent(alerts: list[Alert]) -> None:
    """An earlier alert of the object is in the later one's history, with the same numbers."""
    own: dict[int, Alert] = {one.candid: one for one in alerts}
    shared = 0
    for alert in alerts:
        history = alert.history.points()
        assert all(alert.jd - 30.0 <= point["jd"] < alert.jd for point in history)
        for point in history:
            if (before := own.get(point["candid"])) is not None:
                shared += 1
                assert before.object_id == alert.object_id
                assert before.candidate["magpsf"] == point["magpsf"]
                assert before.candidate["ra"] == point["ra"]
        assert alert.candidate["jdstarthist"] <= min(alert.detection_jds())
        assert alert.candidate["jdendhist"] == alert.jd
        assert alert.candidate["ndethist"] >= len(alert.detection_jds())
    assert shared > 300


def test_histories_are_as_long_as_real_ones(alerts: list[Alert]) -> None:
    mean = sum(len(datapoints(one)) for one in alerts) / len(alerts)
    assert 17 < mean < 25


def test_what_passes_the_filter(night: Night, alerts: list[Alert]) -> None:
    unit = DecentFilter(**GW_CUTS)
    passed: Counter[str] = Counter()
    for alert in alerts:
        if unit.evaluate(alert).accept:
            passed[night.truth[alert.object_id]] += 1
    assert passed["kilonova"] == night.packets["kilonova"] == 19
    assert passed["variable_star"] == passed["agn"] == passed["artefact"] == 0
    assert passed["supernova"] > 0.8 * night.packets["supernova"]
    assert passed["young_supernova"] > 0
    assert 0 < passed["asteroid"] < 0.2 * night.packets["asteroid"]


def test_rivals_in_the_region_have_no_history_before_the_trigger(alerts: list[Alert]) -> None:
    unit = DecentFilter(**GW_CUTS)
    rivals = {
        one.object_id
        for one in alerts
        if unit.evaluate(one).accept
        and min(one.detection_jds()) > T0_JD
        and float(UPDATE.radius(one.ra, one.dec)) < 2.1
    }
    assert len(rivals) > 1


def test_every_galaxy_row_is_whole(night: Night) -> None:
    with night.galaxies.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000
    assert len({row["GLADE+"] for row in rows}) == 3000
    host = next(row for row in rows if row["GWGC"] == "NGC4993")
    assert float(host["z_best"]) == 0.00978
    for row in rows:
        assert 0.0 <= float(row["RAJ2000"]) < 360.0
        assert -90.0 < float(row["DEJ2000"]) < 90.0
        assert 0.0 < float(row["z_best"]) <= 0.051
        assert 4000.0 < float(row["Dist"]) / float(row["z_best"]) < 4700.0


def test_packets_for_benchmarks() -> None:
    few, many = simulate_packets(30, seed=1), simulate_packets(30, seed=1, cutouts=True)
    assert len(few) == len(many) == 30
    assert [decode(one).candid for one in few] == [decode(one).candid for one in many]
    assert min(map(len, many)) > 39_000 > max(map(len, few))
