"""The command group ``units``."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ampelstream.cli.units import app, print_rows, row
from ampelstream.errors import AmpelstreamError
from ampelstream.model.fieldtypes import FieldType, type_of
from ampelstream.units import ObjectUnit
from ampelstream.units.discovery import available, resolve

RUNNER = CliRunner()


def invoke(*args: str | Path) -> Result:
    return RUNNER.invoke(app, [str(arg) for arg in args])


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_gives_a_line_per_unit() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    found = {one["name"]: one for one in rows(result)}
    assert found["DecentFilter"]["kind"] == "alert filter"
    assert found["PredetectionFilter"]["kind"] == "match filter"
    assert found["KilonovaScore"]["provides"] == "score"
    assert found["DigestRedshifts"]["needs"] == ["catalogs"]
    assert all(one["doc"] for one in found.values())


@pytest.mark.parametrize(
    "name", ["DecentFilter", "KilonovaScore", "RiseDecline", "SkyMapProbability", "CatalogMatch"]
)
def test_show_describes(name: str) -> None:
    result = invoke("show", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(name)


def test_show_names_keys_units_and_defaults() -> None:
    said = invoke("show", "DecentFilter").stdout
    assert "min_gal_lat: float, default 14.0" in said
    assert "[arcsec]" in said
    assert "apply_max_nbad: bool, default False" in said


def test_show_gives_the_schema() -> None:
    schema = json.loads(invoke("show", "DecentFilter", "--json").stdout)
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    assert schema["properties"]["min_rb"]["default"] == 0.3
    assert json.loads(invoke("show", "CatalogMatch", "--json").stdout)["required"] == ["catalogs"]


def test_show_lists_the_fields_of_the_result_with_their_units() -> None:
    said = invoke("show", "SkyMapProbability").stdout.partition("\nResult:\n")[2]
    assert "  cumprob: a number\n      Greedy credible level of the position, 0 to 1" in said
    assert "  map_dist, map_dist_unc: a number, or null\n      Mean and standard deviation" in said
    assert "whole sky [Mpc]." in said
    assert "  map_name: text\n" in said
    bands = invoke("show", "RiseDecline").stdout.partition("  bands: keys and values\n")[2]
    assert "    each: keys and values\n      ndet: a number\n" in bands
    assert "[mag/d]" in bands


def test_show_finds_a_unit_of_this_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown_units.py").write_text(
        "from ampelstream.units import ObjectUnit\n"
        "class Mine(ObjectUnit):\n"
        '    """Gives what it likes."""\n'
        '    provides = "mine"\n'
        "    def compute(self, inputs):\n"
        "        return {}\n"
    )
    said = invoke("show", "shown_units:Mine").stdout
    assert "Gives what it likes." in said
    assert "fields that it does not declare: conditions by them are not checked" in said


@pytest.mark.parametrize("name", available())
def test_every_field_of_every_result_that_ships_is_described(name: str) -> None:
    unit = resolve(name)
    if issubclass(unit, ObjectUnit):
        held = type_of(unit.result_class())
        assert not held.open
        assert list(undescribed(held)) == []


def undescribed(held: FieldType) -> Iterator[str]:
    for name, of in held.fields.items():
        if not of.about:
            yield name
        yield from undescribed(of)
    if held.of is not None:
        yield from undescribed(held.of)


def test_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    broken = {"name": "Mine", "kind": None, "error": "cannot be imported"}
    print_rows([row("RiseDecline"), broken])
    said = capsys.readouterr().out
    assert "risedecline" in said
    assert "broken" in said


def test_show_unknown() -> None:
    result = invoke("show", "DecentFiltre")
    assert result.exit_code == 1
    assert isinstance(result.exception, AmpelstreamError)


@pytest.mark.parametrize("name", ["PredetectionFilter", "SkyMapProbability"])
def test_run_says_what_cannot_be_run_by_itself(name: str, tmp_path: Path) -> None:
    result = invoke("run", name, tmp_path)
    assert isinstance(result.exception, AmpelstreamError)
    assert "cannot be run by itself" in str(result.exception)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min_rb: high\n", "min_rb: must be a number (got 'high')"),
        ("- 1\n", "must be a mapping"),
        ("{", "neither YAML nor JSON"),
    ],
)
def test_bad_configuration(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "cuts.yml"
    config.write_text(text)
    result = invoke("run", "DecentFilter", "--config", config, tmp_path)
    assert isinstance(result.exception, AmpelstreamError)
    assert said in str(result.exception)
    assert result.stdout == ""


def test_missing_files(tmp_path: Path) -> None:
    result = invoke("run", "DecentFilter", "--config", tmp_path / "no.yml", tmp_path)
    assert isinstance(result.exception, AmpelstreamError)
    assert "no.yml" in str(result.exception)
    result = invoke("run", "KilonovaScore", tmp_path / "no.ndjson")
    assert isinstance(result.exception, AmpelstreamError)
    assert "no.ndjson" in str(result.exception)


def test_cases_and_a_broken_one(tmp_path: Path) -> None:
    cases = tmp_path / "cases.ndjson"
    good = {"name": "a", "input": {"config": {"mode": "ampel"}, "photopoints": []}}
    bad_key = {"name": "b", "input": {"config": {"mood": "ampel"}}}
    cases.write_text("\n".join(["{", json.dumps(good), "", json.dumps(bad_key)]) + "\n")
    result = invoke("run", "KilonovaScore", cases)
    assert result.exit_code == 3
    (only,) = rows(result)
    assert (only["name"], only["kilonovaness"]) == ("a", 0.0)
    assert only["rejects"] == ["no_pps", "no_absmag_calculated"]
    assert "cases.ndjson, line 1" in result.stderr
    assert "cases.ndjson, line 4" in result.stderr
    assert "mood: unknown key; did you mean mode?" in result.stderr


def test_configuration_of_the_file_lies_under_the_cases_own(tmp_path: Path) -> None:
    config = tmp_path / "score.json"
    config.write_text('{"mode": "ampel", "min_ndet": 5}')
    points = [{"jd": 1.0, "magpsf": 19, "ra": 180, "dec": 60, "rb": 1, "drb": 1}]
    cases = tmp_path / "cases.ndjson"
    cases.write_text(
        "\n".join(
            json.dumps({"name": "x", "input": {"config": own, "photopoints": points}})
            for own in ({}, {"min_ndet": 1})
        )
    )
    first, second = rows(invoke("run", "KilonovaScore", "--config", config, cases))
    assert first["rejects"] == ["too_few_pps", "age", "no_absmag_calculated"]
    assert second["rejects"] == ["age", "no_absmag_calculated"]


@pytest.mark.realdata
def test_all_cases_of_the_oracle(data_dir: Path, tmp_path: Path) -> None:
    given = json.loads((data_dir / "oracles" / "kilonovaness_cases.json").read_text())["cases"]
    cases, config = tmp_path / "cases.ndjson", tmp_path / "score.yml"
    config.write_text("mode: ampel\n")
    cases.write_text("".join(json.dumps(one) + "\n" for one in given))
    result = invoke("run", "KilonovaScore", "--config", config, cases)
    assert result.exit_code == 0
    assert rows(result) == [{"name": one["name"], **one["expected"]} for one in given]


@pytest.fixture(scope="module")
def oracle(data_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (data_dir / "oracles" / "decent_filter_verdicts.json").read_text()
    )
    return found


def _config(oracle: dict[str, Any], name: str, tmp_path: Path) -> Path:
    path = tmp_path / "cuts.json"
    path.write_text(json.dumps(oracle["configs"][name]))
    return path


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["gw_dynashape", "rapid", "loose", "very_loose"])
def test_all_verdicts_of_the_oracle(
    data_dir: Path, oracle: dict[str, Any], name: str, tmp_path: Path
) -> None:
    files = [data_dir / case["file"] for case in oracle["verdicts"]]
    config = _config(oracle, name, tmp_path)
    result = invoke("run", "DecentFilter", "--config", config, *files)
    assert result.exit_code == 0, result.stderr
    expected = [
        {
            "file": str(data_dir / case["file"]),
            "record": case["record"],
            "objectId": case["objectId"],
            "candid": case["candid"],
            "accept": case["verdict"][name]["accept"],
            "reason": case["verdict"][name].get("reason"),
        }
        for case in oracle["verdicts"]
    ]
    assert rows(result) == expected


@pytest.mark.realdata
def test_a_directory_gives_the_same_as_its_files(
    data_dir: Path, oracle: dict[str, Any], tmp_path: Path
) -> None:
    folder = data_dir / "ztf" / "ampel-ztf"
    config = _config(oracle, "loose", tmp_path)
    result = invoke("run", "DecentFilter", "--config", config, folder)
    verdicts = {one["file"]: (one["accept"], one["reason"]) for one in rows(result)}
    compared = 0
    for case in oracle["verdicts"]:
        path = str(data_dir / case["file"])
        if path.startswith(f"{folder}/"):
            of = case["verdict"]["loose"]
            assert verdicts[path] == (of["accept"], of.get("reason"))
            compared += 1
    assert compared == 199


@pytest.mark.realdata
def test_members_of_an_archive(data_dir: Path, oracle: dict[str, Any], tmp_path: Path) -> None:
    folder = data_dir / "ztf" / "sn2021rhu"
    archive = shutil.make_archive(str(tmp_path / "rhu"), "gztar", folder)
    result = invoke("run", "DecentFilter", "--config", _config(oracle, "rapid", tmp_path), archive)
    assert result.exit_code == 0
    found = rows(result)
    assert len(found) == 34
    assert {one["file"] for one in found} == {archive}
    assert {Path(one["member"]).name for one in found} == {p.name for p in folder.glob("*.avro")}


@pytest.mark.realdata
def test_undecodable_records_are_named_and_counted(
    data_dir: Path, oracle: dict[str, Any], tmp_path: Path
) -> None:
    good = next((data_dir / "ztf" / "sn2021rhu").glob("*.avro"))
    folder = tmp_path / "alerts"
    folder.mkdir()
    shutil.copy(good, folder / "a.avro")
    (folder / "b.avro").write_bytes(good.read_bytes()[:5000])
    (folder / "c.avro").write_bytes(b"Obj\x01 nothing")
    config = _config(oracle, "loose", tmp_path)
    result = invoke("run", "DecentFilter", "--config", config, folder)
    assert result.exit_code == 3
    assert [one["file"] for one in rows(result)] == [str(folder / "a.avro")]
    assert "b.avro" in result.stderr
    assert "c.avro" in result.stderr
    assert "2 records could not be handled" in result.stderr


@pytest.mark.realdata
def test_a_users_filter_that_raises_is_named_and_stops_nothing(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_filters.py").write_text(
        "from ampelstream.units import ACCEPT, AlertFilter\n"
        "class Picky(AlertFilter):\n"
        "    def evaluate(self, alert):\n"
        "        if alert.candidate['fid'] == 1:\n"
        "            raise KeyError('no green, please')\n"
        "        return ACCEPT\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = invoke("run", "users_filters:Picky", data_dir / "ztf" / "sn2021rhu")
    assert result.exit_code == 3
    assert 0 < len(rows(result)) < 34
    assert all(one["accept"] and one["reason"] is None for one in rows(result))
    failures = result.stderr.count("KeyError")
    assert failures == 34 - len(rows(result))
    assert f"{failures} records could not be handled" in result.stderr
