"""What ``topology check`` says of each mistake: file, line, key and mend, word for word."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ampelstream.cli.topology import app

TOPOLOGY = """name: mine
version: 1
events:
  where: significant == true
channels:
  one:
    alerts: {survey: ztf, where: magpsf < 20}
    filters:
      - unit: DecentFilter
        config: {min_ndet: 1}
    region: 0.9
    window: [0, 5]
    units:
      - unit: SkyMapProbability
      - unit: RiseDecline
        config: {significance: 3}
    rank_by: SkyMapProbability.cumprob
react:
  - name: first
    channel: one
    when: SkyMapProbability.cumprob < 0.5
    sinks: [console]
"""
OWN = '''"""A user's units."""

from typing import ClassVar

from ampelstream.units import Inputs, ObjectUnit


class Silent(ObjectUnit):
    significance: float = 3

    def compute(self, inputs: Inputs) -> dict[str, float]:
        return {}


class Idle(ObjectUnit):
    provides: ClassVar[str] = "idle"


class Plain(ObjectUnit):
    provides: ClassVar[str] = "plain"
    needs: ClassVar[tuple[str, ...]] = ("skimap",)

    def compute(self, inputs: Inputs) -> dict[str, object]:
        return {}


class Limited(ObjectUnit):
    provides: ClassVar[str] = "limited"
    limit: float

    def compute(self, inputs: Inputs) -> dict[str, object]:
        return {}
'''
WHERE, UNIT = "magpsf < 20", "RiseDecline\n        config: {significance: 3}"
RANK, WHEN = "SkyMapProbability.cumprob\n", "SkyMapProbability.cumprob < 0.5"
AT_WHERE, AT_UNIT = "mine.yml:7: channels.one.alerts.where: ", "mine.yml:15: channels.one.units.1"
AT_CONFIG = "mine.yml:16: channels.one.units.1.config.significance: "
LANGUAGE = (
    "use comparisons, and, or, not, in, + - * /, numbers, 'strings', true, false, null, names"
)
MISTAKES = {
    # names that are nowhere
    "a key of the file": (
        "channels:",
        "chanels:",
        "mine.yml:5: chanels: unknown key; did you mean channels?",
    ),
    "a key of a channel": (
        "window:",
        "windw:",
        "mine.yml:12: channels.one.windw: unknown key; did you mean window?",
    ),
    "a survey": (
        "survey: ztf",
        "survey: rubin",
        "mine.yml:7: channels.one.alerts.survey: there is no survey rubin; did you mean lsst?",
    ),
    "a survey in capitals": (
        "survey: ztf",
        "survey: ZTF",
        "mine.yml:7: channels.one.alerts.survey: there is no survey ZTF; did you mean ztf?",
    ),
    "a field of alerts": (
        WHERE,
        "magps < 20",
        f"{AT_WHERE}alerts of ztf have no field magps; did you mean magpsf?",
    ),
    "a field of events": (
        "significant",
        "signficant",
        "mine.yml:4: events.where: events have no signficant; did you mean significant?",
    ),
    "a property of events": (
        "significant == true",
        "properties.HasNs > 0.5",
        "mine.yml:4: events.where: properties has no HasNs; did you mean HasNS?",
    ),
    "a property at the top": (
        "significant == true",
        "HasNS > 0.5",
        "mine.yml:4: events.where: events have no HasNS; did you mean properties.HasNS?",
    ),
    "a unit in a rule": (
        WHEN,
        "SkyMapProbabilty.cumprob < 0.5",
        (
            "mine.yml:21: react.0.when: nothing is called SkyMapProbabilty; "
            "did you mean SkyMapProbability?"
        ),
    ),
    "a field of a result": (
        WHEN,
        "SkyMapProbability.cumprb < 0.5",
        "mine.yml:21: react.0.when: SkyMapProbability has no cumprb; did you mean cumprob?",
    ),
    "a status": (
        WHEN,
        "status == 'activ'",
        "mine.yml:21: react.0.when: status is never 'activ'; did you mean active?",
    ),
    "a channel": (
        "channel: one",
        "channel: ones",
        "mine.yml:20: react.0.channel: there is no channel ones; did you mean one?",
    ),
    "a unit": (
        "unit: RiseDecline",
        "unit: RiseDecine",
        (
            f"{AT_UNIT}.unit: no unit named 'RiseDecine': it is neither one that ships, nor an "
            "entry point of the group ampelstream.units, nor an import path "
            "(package.module:Class). Did you mean RiseDecline? `ampelstream units list` shows all"
        ),
    ),
    "a module": (
        UNIT,
        "mine:Silent",
        (
            f"{AT_UNIT}.unit: unit 'mine:Silent': there is no module mine. Put mine.py beside the "
            "topology file, install its package, or put the directory that holds it on PYTHONPATH"
        ),
    ),
    "a unit of a module": (
        UNIT,
        "own:Silnt",
        f"{AT_UNIT}.unit: unit 'own:Silnt': the module own has no Silnt. Did you mean Silent?",
    ),
    "a key of a unit": (
        "significance: 3",
        "signficance: 3",
        (
            "mine.yml:16: channels.one.units.1.config.signficance: unknown key; "
            "did you mean significance?"
        ),
    ),
    "a word of a choice": (
        "  where: significant",
        "  skymap: combind\n  where: significant",
        (
            "mine.yml:4: events.skymap: must be combined or own (got 'combind'); "
            "did you mean combined?"
        ),
    ),
    # conditions that never hold, or always
    "None": (WHERE, "drb == None", f"{AT_WHERE}None is not a word here; write null"),
    "text and number": (
        WHERE,
        "isdiffpos == 1",
        f"{AT_WHERE}isdiffpos is text, and 1 is a number: they never compare; write '1'",
    ),
    "number and text": (
        WHERE,
        "magpsf < '20'",
        (
            f"{AT_WHERE}magpsf is a number, and '20' is text: they never compare; "
            "write 20, without quotes"
        ),
    ),
    "a part of a number": (
        WHERE,
        "magpsf.max < 20",
        f"{AT_WHERE}magpsf is a number, or null and has no parts; leave out .max",
    ),
    "a constant": (
        WHERE,
        "isdiffpos == 't' or '1'",
        (
            f"{AT_WHERE}'1' stands by itself, which always holds; compare it with something, "
            "such as x in [1, 2]"
        ),
    ),
    "a call": (
        WHERE,
        "abs(magpsf) < 20",
        (
            f"{AT_WHERE}condition 'abs(magpsf) < 20': 'abs(magpsf) < 20' at column 1 is not "
            f"understood; there are no functions; {LANGUAGE}"
        ),
    ),
    "is null": (
        WHERE,
        "drb is null",
        (
            f"{AT_WHERE}condition 'drb is null': 'drb is null' at column 1 is not understood; "
            f"write == null or != null instead of is; {LANGUAGE}"
        ),
    ),
    "=": (WHERE, "fid = 1", f"{AT_WHERE}condition 'fid = 1' cannot be read: write ==, not ="),
    # units
    "a filter under units": (
        UNIT,
        "DecentFilter",
        f"{AT_UNIT}.unit: DecentFilter is an alert filter: move it from `units` to `filters`",
    ),
    "a unit under filters": (
        "DecentFilter\n        config: {min_ndet: 1}",
        "RiseDecline",
        (
            "mine.yml:9: channels.one.filters.0.unit: RiseDecline is an object unit: move it from "
            "`filters` to `units`"
        ),
    ),
    "no provides": (
        UNIT,
        "own:Silent",
        (
            f"{AT_UNIT}.unit: own:Silent does not say what it `provides` (HERE/own.py:8); add a "
            'line such as `provides: ClassVar[str] = "mine"` to the class'
        ),
    ),
    "no compute": (
        UNIT,
        "own:Idle",
        f"{AT_UNIT}.unit: own:Idle is an object unit without `compute` (HERE/own.py:15); write it",
    ),
    "needs nobody provides": (
        UNIT,
        "DigestRedshifts",
        (
            f"{AT_UNIT}: DigestRedshifts needs catalogs; list a unit that provides catalogs above "
            "it, such as CatalogMatch"
        ),
    ),
    "needs that are misspelt": (
        UNIT,
        "own:Plain",
        (
            f"{AT_UNIT}: Plain needs skimap; list a unit that provides skimap above it; "
            "or did Plain mean to need skymap?"
        ),
    ),
    "a name of conditions": (
        "unit: RiseDecline",
        "unit: RiseDecline\n        name: rank",
        (
            "mine.yml:16: channels.one.units.1.name: rank is a word of the conditions of rules "
            "(`when`), where it would no longer be what it is; give this one another `name`, "
            "such as my_rank"
        ),
    ),
    "a name twice": (
        UNIT,
        "SkyMapProbability",
        f"{AT_UNIT}.unit: the name SkyMapProbability is taken; give this one a `name`",
    ),
    "a rule's name twice": (
        "    sinks: [console]",
        "    sinks: [console]\n  - name: first\n    when: rank > 1\n    sinks: [console]",
        "mine.yml:23: react.1.name: the name first is taken; give another",
    ),
    "a key twice": (
        "    region: 0.9",
        "    region: 0.9\n    region: 0.8",
        "mine.yml:12: key region stands twice",
    ),
    # values
    "a value of another type": (
        "significance: 3",
        "significance: high",
        f"{AT_CONFIG}must be a number (got 'high')",
    ),
    "a value out of range": (
        "significance: 3",
        "significance: -1",
        f"{AT_CONFIG}must be more than 0 (got -1)",
    ),
    "a value that is missing": (
        UNIT,
        "own:Limited",
        f"{AT_UNIT}.config.limit: is missing; add it",
    ),
    "a list that is missing": (
        UNIT,
        "CatalogMatch",
        f"{AT_UNIT}.config.catalogs: is missing; add it",
    ),
    "a region in percent": (
        "region: 0.9",
        "region: 90",
        "mine.yml:11: channels.one.region: must be more than 0 and 1 or less (got 90)",
    ),
    "a window that falls": (
        "window: [0, 5]",
        "window: [5, 0]",
        (
            "mine.yml:12: channels.one.window: must rise from the first day after the trigger to "
            "the last, as [0, 3] (got [5, 0])"
        ),
    ),
    "no list": (
        "sinks: [console]",
        "sinks: console",
        "mine.yml:22: react.0.sinks: must be a list, such as [console] (got 'console')",
    ),
    # ranking
    "a rank without a field": (
        f"rank_by: {RANK}",
        "rank_by: RiseDecline\n",
        (
            "mine.yml:17: channels.one.rank_by: 'RiseDecline' says no field; say which one of "
            "RiseDecline, such as RiseDecline.rise_significance, RiseDecline.fall_significance, "
            "RiseDecline.ndet, RiseDecline.ndet_negative, RiseDecline.first_jd"
        ),
    ),
    "a rank by nothing": (
        f"rank_by: {RANK}",
        "rank_by: SkyMapProbability.cumprb\n",
        "mine.yml:17: channels.one.rank_by: SkyMapProbability has no cumprb; did you mean cumprob?",
    ),
    "a rank by text": (
        f"rank_by: {RANK}",
        "rank_by: SkyMapProbability.map_name\n",
        (
            "mine.yml:17: channels.one.rank_by: SkyMapProbability.map_name is text; rank by a "
            "number: cumprob, probdensity_per_sr, area90_deg2, map_dist, map_dist_unc, los_dist, "
            "los_dist_unc, trigger_time, first_detection_days, ra, dec"
        ),
    ),
    "nothing at all": (
        TOPOLOGY,
        "",
        (
            "mine.yml:1: the file: nothing stands here; it must be keys with values, such as "
            "`name: mine`"
        ),
    ),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def check(text: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    Path("mine.yml").write_text(text)
    done = CliRunner().invoke(app, ["check", "mine.yml", "--catalogs", "none"])
    return done.exit_code, done.stdout, done.stderr


def test_there_is_nothing_to_say_of_a_good_one() -> None:
    code, said, notes = check(TOPOLOGY)
    assert (code, notes) == (0, "")
    assert said.startswith("mine.yml: ok (mine 1, hash ")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_its_message(mistake: str, here: Path) -> None:
    before, after, message = MISTAKES[mistake]
    assert before in TOPOLOGY
    code, said, errors = check(TOPOLOGY.replace(before, after, 1))
    assert code == 1
    assert said == ""
    assert errors == f"error: {message}\n".replace("HERE", str(here))


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = TOPOLOGY
    wrong = {WHERE: "magps < 20", UNIT: "DecentFilter", "channel: one": "channel: two"}
    for before, after in wrong.items():
        text = text.replace(before, after, 1)
    code, _, errors = check(text)
    assert code == 1
    assert [
        line.removeprefix("error: ").split(": ")[0].strip() for line in errors.splitlines()
    ] == [
        "mine.yml:7",
        "mine.yml:15",
        "mine.yml:19",
    ]


def test_a_result_of_no_type_is_not_checked_and_that_is_said() -> None:
    text = TOPOLOGY.replace(UNIT, "own:Plain").replace(WHEN, "Plain.anything == 'x'", 1)
    Path("own.py").write_text(OWN.replace('needs: ClassVar[tuple[str, ...]] = ("skimap",)', ""))
    code, _, notes = check(text)
    assert code == 0
    assert notes == (
        "note: mine.yml:15: channels.one.units.1: Plain does not say which fields its result has, "
        "so that conditions and rankings by them are not checked; have its `compute` return a "
        "msgspec.Struct\n"
    )


def test_a_filter_for_another_survey_is_noted() -> None:
    code, _, notes = check(TOPOLOGY.replace("survey: ztf, where: magpsf < 20", "survey: lsst"))
    assert code == 0
    assert notes.startswith("note: mine.yml:9: channels.one.filters.0: DecentFilter looks at ")
    assert "isdiffpos" in notes
    assert "which alerts of lsst do not have: it may reject all of them" in notes


def test_a_field_that_the_schema_has_gained_can_be_declared() -> None:
    text = TOPOLOGY.replace(WHERE, "novelty > 0.5")
    assert check(text)[0] == 1
    declared = text.replace("where: novelty", "fields: {novelty: number}, where: novelty")
    assert check(declared)[0] == 0
    assert "they never compare" in check(declared.replace("> 0.5", "== 'x'"))[2]
