"""Replays through the command line, as a user runs them."""

import gzip
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ampelstream.codecs.avro.container import read_header
from ampelstream.simulate import Night

OUTPUTS = (
    "candidates.ndjson",
    "dead-letters.ndjson",
    "reactions.ndjson",
    "summary.json",
    "report.html",
)


def ampelstream(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ampelstream", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def replay(
    topology: str, alerts: Sequence[Path], notices: Sequence[Path], out: Path, *more: object
) -> subprocess.CompletedProcess[str]:
    inputs = [part for path in alerts for part in ("--alerts", path)]
    inputs += [part for path in notices for part in ("--notices", path)]
    return ampelstream("replay", topology, *inputs, "--out", out, *more)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_sums(summary: dict[str, Any]) -> None:
    for name in ("alerts", "notices"):
        part = summary[name]
        rejected = sum(part.get("rejected", {}).values())
        assert part["records_in"] == part["decoded"] + part["dead_letters"]
        assert part["decoded"] == part["accepted"] + part["duplicates"] + rejected
    total = summary["alerts"]["records_in"] + summary["notices"]["records_in"]
    assert summary["records_in"] == total
    for channel in summary["channels"].values():
        seen = channel["accepted"] + channel["duplicates"] + sum(channel["rejected"].values())
        assert seen == summary["alerts"]["decoded"]


@pytest.fixture(scope="module")
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


def test_outputs_are_deterministic_and_add_up(night: Night, tmp_path: Path) -> None:
    for name in ("one", "two", "two"):  # the third replaces the finished second
        done = replay("skymap-only", [night.alerts], [night.notices], tmp_path / name)
        assert done.returncode == 0, done.stderr
    for name in OUTPUTS:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    check_sums(summary)
    assert summary["alerts"]["records_in"] == 300
    candidates = rows(tmp_path / "one" / "candidates.ndjson")
    keys = [(row["event_id"], row["object_id"], row["channel"]) for row in candidates]
    assert keys == sorted(keys)
    assert {row["provenance"]["topology_hash"] for row in candidates} == {
        summary["topology"]["hash"]
    }
    assert all(row["provenance"]["records"] and row["lightcurve"] for row in candidates)
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(row["object_id"] for row in shown) == sorted(r["object_id"] for r in candidates)


def test_an_alert_of_2050_changes_nothing_but_its_own_count(night: Night, tmp_path: Path) -> None:
    row = {"jd": 2469812.5, "fid": 1, "candid": 1, "ra": 197.45, "dec": -23.38, "magpsf": 18.0}
    late = {"objectId": "ZTF50aaaaaaa", "candid": 1, "candidate": row, "prv_candidates": []}
    (tmp_path / "late.ndjson").write_text(json.dumps(late) + "\n")
    for name, more in (("plain", []), ("late", [tmp_path / "late.ndjson"])):
        options = ("--forget",) if name == "late" else ()
        alerts = [*more, night.alerts]
        done = replay("skymap-only", alerts, [night.notices], tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
    said = "1 alert says that it is younger than this machine's clock"
    assert said in done.stderr
    plain, odd = (rows(tmp_path / name / "candidates.ndjson") for name in ("plain", "late"))
    assert plain == odd
    plain, odd = (
        json.loads((tmp_path / name / "summary.json").read_text())["alerts"]
        for name in ("plain", "late")
    )
    assert odd == plain | {
        "records_in": 301,
        "decoded": 301,
        "accepted": plain["accepted"] + 1,
        "watermark_refused": 1,
    }
    assert plain["watermark_refused"] == 0


def test_a_map_that_was_put_right_is_told_to_the_person(night: Night, tmp_path: Path) -> None:
    values = np.full(48, 2 / 48)
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=values)])
    cards = {"PIXTYPE": "HEALPIX", "ORDERING": "nested", "OBJECT": "S1", "DATE-OBS": "2024-01-14"}
    table.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "night.fits")
    done = replay("skymap-only", [night.alerts], [tmp_path / "night.fits"], tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [
        "S1: DATE-OBS = 2024-01-14 has no time of day: taken as 00:00",
        "S1: its probabilities sum to 2 and not to 1: they were divided by that",
    ]
    assert [one for one in done.stderr.splitlines() if one.startswith("warning: ")] == [
        f"warning: {one}" for one in told
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["notices"]["remarks"] == dict.fromkeys(told, 1)
    assert [row["event"] for row in summary["events"]] == ["S1"]


def test_bad_input_ends_as_dead_letters_and_exit_code_three(night: Night, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "empty.avro").write_bytes(b"")
    (bad / "junk.avro").write_bytes(b"junk")
    (bad / "table.parquet").write_bytes(b"PAR1")
    (bad / "cut.tar.gz").write_bytes(night.alerts.read_bytes()[:5000])
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "x.json").write_text("{}")
    (mail / "voevent.xml").write_text("<?xml?>")
    out = tmp_path / "out"
    done = replay("skymap-only", [night.alerts, bad], [night.notices, mail], out)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    letters = rows(out / "dead-letters.ndjson")
    members = " ".join(letter["member"] + letter["reason"] for letter in letters)
    for name in ("empty.avro", "junk.avro", "table.parquet", "cut.tar.gz", "x.json", "voevent"):
        assert name in members
        assert name in done.stderr or len(letters) > 5
    check_sums(json.loads((out / "summary.json").read_text()))
    assert all(letter["reason"] and letter["source"] for letter in letters)


def test_a_damaged_file_gives_its_records_and_says_where_it_is_damaged(
    night: Night, tmp_path: Path
) -> None:
    """Packets joined to one container of many blocks, and one of them is cut out in part."""
    with tarfile.open(night.alerts) as archive:
        members = [archive.extractfile(name) for name in archive.getnames()[:5]]
        packets = [member.read() for member in members if member]
    body = read_header(packets[0]).body
    marker = packets[0][body - 16 : body]
    blocks = [packet[body:-16] + marker for packet in packets]
    blocks[2] = blocks[2][:100] + blocks[2][300:]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "night.avro").write_bytes(packets[0][:body] + b"".join(blocks))
    (mixed / "chart.png").write_bytes(b"x")
    done = replay("skymap-only", [mixed], [], tmp_path / "out")
    assert done.returncode == 3
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    check_sums(summary)
    assert (summary["alerts"]["decoded"], summary["alerts"]["dead_letters"]) == (4, 1)
    (letter,) = rows(tmp_path / "out" / "dead-letters.ndjson")
    begin = body + len(blocks[0]) + len(blocks[1])
    assert (letter["step"], letter["error"]) == ("read", "SourceError")
    assert letter["reason"].startswith(f"block 3 at byte {begin} (1 record): it ends after ")
    assert letter["member"] == "night.avro"
    assert f"night.avro: SourceError: block 3 at byte {begin}" in done.stderr
    assert summary["skipped"]["count"] == 1
    assert summary["skipped"]["first"][0]["name"] == "mixed/chart.png"
    assert "1 file or archive member was not read:\n  mixed/chart.png: its name" in done.stderr


def test_a_damaged_notice_is_a_dead_letter_of_reading(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "x.json.gz").write_bytes(gzip.compress(b"{" + bytes(500))[:-4])
    (tmp_path / "none").mkdir()
    done = replay("skymap-only", [tmp_path / "none"], [mail], tmp_path / "out")
    assert done.returncode == 3
    (letter,) = rows(tmp_path / "out" / "dead-letters.ndjson")
    assert (letter["step"], letter["stream"]) == ("read", "notices")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("replay", "nowhere", "--alerts", ".", "--out", "o"), ["nowhere", "kilonova"]),
        (("replay", "skymap-only", "--alerts", "gone.avro", "--out", "o"), ["gone.avro"]),
        (("replay", "bad.yml", "--alerts", ".", "--out", "o"), ["bad.yml:3", "chanels"]),
        (("replay", "cat.yml", "--alerts", ".", "--out", "o"), ["cat.yml", "NEDz", "catalogs add"]),
        (("skymap", "show", "gone.fits"), ["gone.fits"]),
        (("units", "run", "DecentFilter", "--config", "gone.yml", "."), ["gone.yml"]),
    ],
)
def test_errors_name_what_is_wrong(
    arguments: tuple[str, ...], words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.yml").write_text("name: a\nversion: 1\nchanels: {}\n")
    (tmp_path / "cat.yml").write_text(
        "name: a\nversion: 1\nchannels: {c: {units: [{unit: CatalogMatch, config: "
        "{catalogs: {NEDz: {radius_arcsec: 1}}}}]}}\n"
    )
    done = ampelstream(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.replace("\n", " ")


def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "night").mkdir(parents=True)
    alerts = [tmp_path / "a" / "night", tmp_path / "b" / "night"]
    done = replay("skymap-only", alerts, [], tmp_path / "out")
    assert done.returncode == 1
    assert "the same name 'night'" in done.stderr


def test_what_is_not_ours_is_left_alone(night: Night, tmp_path: Path) -> None:
    (tmp_path / "out" / "state").mkdir(parents=True)
    diary = tmp_path / "out" / "state" / "diary.txt"
    diary.write_text("dear diary")
    done = replay("skymap-only", [night.alerts], [], tmp_path / "out")
    assert done.returncode == 1
    assert "not ours" in done.stderr
    assert diary.read_text() == "dear diary"
    done = replay("skymap-only", [night.alerts], [], diary)
    assert done.returncode == 1
    assert "diary.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_usage_errors_are_two() -> None:
    assert ampelstream("replay").returncode == 2
    assert ampelstream("no-such-command").returncode == 2


def test_run_follows_a_directory_and_goes_on_after_a_stop(night: Night, tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    run = ("run", "skymap-only", "--alerts", incoming, "--notices", night.notices)
    state = ("--state", tmp_path / "state", "--once")
    first = ampelstream(*run, *state)
    assert first.returncode == 0, first.stderr
    assert "alerts: 0 in" in first.stderr
    (incoming / "late.tar.gz").write_bytes(night.alerts.read_bytes())
    second = ampelstream(*run, *state)
    assert "alerts: 300 in" in second.stderr
    third = ampelstream(*run, *state)
    assert "alerts: 300 in" in third.stderr
    # a state may hold several topologies, each under its name, and none takes another's for its own
    (tmp_path / "state" / "skymap-only").rename(tmp_path / "state" / "kilonova")
    other = ampelstream("run", "kilonova", "--alerts", incoming, *state)
    assert other.returncode == 78
    assert "not to topology kilonova" in " ".join(other.stderr.split())
    (tmp_path / "state" / "kilonova" / "rocks").rename(tmp_path / "state" / "rocks")
    other = ampelstream("run", "kilonova", "--alerts", incoming, *state)
    assert other.returncode == 78
    assert "Run skymap-only once" in " ".join(other.stderr.split())
    moved = ampelstream(*run, *state)
    assert moved.returncode == 0
    assert "the state was moved" in moved.stderr
    assert "alerts: 300 in" in moved.stderr


def test_dead_letters_of_an_earlier_run_are_not_announced_again(
    night: Night, tmp_path: Path
) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    state = ("--state", tmp_path / "state", "--once")
    run = ("run", "skymap-only", "--alerts", incoming, "--notices", night.notices, *state)
    (incoming / "junk.avro").write_bytes(b"junk")
    first = ampelstream(*run)
    assert first.returncode == 3, first.stderr
    assert "1 dead letter is of this run" in first.stderr
    (incoming / "late.tar.gz").write_bytes(night.alerts.read_bytes())
    second = ampelstream(*run)
    assert second.returncode == 0, second.stderr
    assert "1 dead letter" in second.stderr  # they are counted on
    (incoming / "more.avro").write_bytes(b"more junk")
    assert ampelstream(*run).returncode == 3
    assert ampelstream(*run).returncode == 0


def test_dead_letters_of_an_earlier_replay_are_not_announced_again(
    night: Night, tmp_path: Path
) -> None:
    (tmp_path / "junk.avro").write_bytes(b"junk")
    out = tmp_path / "out"
    assert replay("skymap-only", [tmp_path / "junk.avro"], [], out).returncode == 3
    assert replay("skymap-only", [night.alerts], [], out, "--overwrite").returncode == 0


STREAMS = ("stdout", "stderr")


def read_by_nobody(*arguments: object, stream: str) -> int:
    """Exit code of a command the reader of whose output has gone before it began."""
    reading, writing = os.pipe()
    os.close(reading)
    stdout, stderr = (writing if stream == name else subprocess.DEVNULL for name in STREAMS)
    try:
        command = [sys.executable, "-m", "ampelstream", *map(str, arguments)]
        return subprocess.run(command, check=False, stdout=stdout, stderr=stderr).returncode
    finally:
        os.close(writing)


def test_the_reader_of_the_data_may_go_and_that_of_the_log_not(tmp_path: Path) -> None:
    assert read_by_nobody("topology", "graph", "skymap-only", stream="stdout") == 0
    assert read_by_nobody("topology", "check", "no such one", stream="stderr") == 1
    demo = ("demo", "--out", tmp_path / "demo", "--alerts", 300)
    assert read_by_nobody(*demo, stream="stdout") == 0
    assert read_by_nobody(*demo, stream="stderr") == 1


def test_streams_that_are_closed_are_not_taken_for_files(night: Night, tmp_path: Path) -> None:
    closed = "import os, sys; os.closerange(0, 3); os.execv(sys.executable, sys.argv[1:])"
    inputs = ("--alerts", night.alerts, "--notices", night.notices, "--out", tmp_path / "out")
    command = [sys.executable, "-m", "ampelstream", "replay", "skymap-only", *map(str, inputs)]
    done = subprocess.run([sys.executable, "-c", closed, *command], check=False)
    assert done.returncode == 0
    assert rows(tmp_path / "out" / "candidates.ndjson")


def test_demo_finds_the_kilonova_first(tmp_path: Path) -> None:
    done = ampelstream("demo", "--out", tmp_path / "demo", "--alerts", 1000)
    assert done.returncode == 0, done.stderr
    assert "Simulated" in done.stderr
    truth = json.loads((tmp_path / "demo" / "night" / "truth.json").read_text())
    best = done.stdout.splitlines()[4].split()
    assert "gfo" in best[1]
    assert best[1] in json.dumps(truth)
    # people read it through a pipe, too: a table with all its columns, and where to go on
    heading = done.stdout.splitlines()[2].split()
    assert heading == ["event", "object", "score", "RA", "Dec", "first", "latest", "level", "z"]
    assert "…" not in done.stdout
    for name in ("report.html", "candidates.ndjson"):
        assert str(tmp_path / "demo" / name) in done.stdout
        assert (tmp_path / "demo" / name).exists()
    assert "Simulated data" in (tmp_path / "demo" / "report.html").read_text()


@pytest.mark.realdata
def test_the_real_night_equals_the_oracle_for_all_thirty_notices(
    data_dir: Path, tmp_path: Path
) -> None:
    done = replay(
        "skymap-only",
        [data_dir / "ztf" / "night-20240115"],
        [data_dir / "notices" / "lvk-2024-01"],
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    check_sums(summary)
    oracle = json.loads((data_dir / "oracles" / "night_20240115_counts.json").read_text())
    ours = {row["notice"]: row for row in summary["events"]}
    assert len(oracle["counts"]) == len(ours) == 30
    for row in oracle["counts"]:
        mine = ours[row["notice"]]
        for key in ("event", "alert_type", "time_created", "alerts_inside", "objects_inside"):
            assert mine[key] == row[key], (row["notice"], key)
        assert mine["t0_jd"] == pytest.approx(row["t0_jd"], abs=1e-6)
    check_places(rows(tmp_path / "out" / "candidates.ndjson"))


def check_places(candidates: list[dict[str, Any]]) -> None:
    """All are matched, mapped and printed at one place; those with a history elsewhere say so."""
    active = [row for row in candidates if row["status"] == "active"]
    assert (len(candidates), len(active)) == (811, 775)
    # their packets were made of alerts of another place, degrees away from their histories
    apart = [row for row in active if row["strays"]]
    assert len(apart) == 32
    assert min(row["scatter_arcsec"] for row in apart) > 3600
    assert max(row["scatter_arcsec"] for row in active if not row["strays"]) < 3
    for row in active:
        [found] = [one["body"] for one in row["results"] if one["unit"] == "SkyMapProbability"]
        assert (found["ra"], found["dec"]) == (row["ra"], row["dec"])
        assert found["cumprob"] <= 0.9
    latest = [max((p for p in row["lightcurve"] if "mag" in p), key=_when) for row in active]
    assert sum(not point["positive"] for point in latest) == 346  # and none of them is shown


def _when(point: dict[str, Any]) -> tuple[float, int]:
    return point["jd"], point["id"]


@pytest.mark.realdata
@pytest.mark.parametrize("forget", [(), ("--forget",)])
def test_the_real_night_among_all_ztf_data_gives_the_same_candidates(
    data_dir: Path, tmp_path: Path, forget: tuple[str, ...]
) -> None:
    """Of seven years, in no order; only the directory stands before the names of its files."""
    notices = [data_dir / "notices" / "lvk-2024-01"]
    found = {}
    for name in ("ztf/night-20240115", "ztf"):
        out = tmp_path / Path(name).name
        done = replay("skymap-only", [data_dir / name], notices, out, *forget)
        assert done.returncode == 0, done.stderr
        text = (out / "candidates.ndjson").read_text()
        found[name] = text.replace('"ztf/night-20240115/', '"night-20240115/')
    assert found["ztf"] == found["ztf/night-20240115"]
    assert len(found["ztf"].splitlines()) == 811
    summary = json.loads((tmp_path / "ztf" / "summary.json").read_text())
    assert summary["alerts"]["records_in"] == 1597


@pytest.mark.realdata
def test_every_malformed_file_is_a_dead_letter_or_a_record(data_dir: Path, tmp_path: Path) -> None:
    done = replay("skymap-only", [data_dir / "malformed"], [], tmp_path / "out")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    alerts = json.loads((tmp_path / "out" / "summary.json").read_text())["alerts"]
    assert alerts["records_in"] >= 26
    assert alerts["dead_letters"] >= 15
    assert alerts["decoded"] >= 5


@pytest.mark.realdata
def test_a_sky_map_can_be_an_event_unless_it_has_no_time(data_dir: Path, tmp_path: Path) -> None:
    packets = data_dir / "ztf" / "boom"
    maps = data_dir / "skymaps"
    good = replay(
        "skymap-only", [packets], [maps / "GW190425-bayestar-nside256.fits.gz"], tmp_path / "a"
    )
    assert good.returncode == 0, good.stderr
    events = json.loads((tmp_path / "a" / "summary.json").read_text())["events"]
    assert [(row["event"], row["selected"]) for row in events] == [("G330561", True)]
    fermi = "fermi-gbm-bn180116026-nside128.fit.gz"
    timeless = tmp_path / fermi
    plain = gzip.decompress((maps / fermi).read_bytes())
    timeless.write_bytes(gzip.compress(plain.replace(b"TRIGTIME=", b"XRIGTIME="), 1))
    bad = replay("skymap-only", [packets], [timeless], tmp_path / "b")
    assert bad.returncode == 3
    assert fermi in bad.stderr
    assert "DATE-OBS" in bad.stderr
