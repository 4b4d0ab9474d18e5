"""What the documents say of files and names is so."""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ampelstream.codecs.alertfields import ALERT_FIELDS
from ampelstream.codecs.alerts import batches, decode
from ampelstream.model.event import KINDS, EventRevision
from ampelstream.model.lightcurve import LightCurve
from ampelstream.simulate import simulate_packets
from ampelstream.topology.conditions import Condition
from ampelstream.topology.spec import EventsSpec
from ampelstream.units import AlertFacts, Inputs

from .snippets import blocks, commands

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| `([^`]+)` \| (.*) \|$", TEXT, re.MULTILINE)
MAY_BE_OPENED = 35
"""Files that a reader who follows an alert may have to open; more are a maze."""


def path_of(name: str) -> Path:
    return ROOT / name if name.startswith("topologies/") else ROOT / "ampelstream" / name


def test_the_rows_are_counted_and_few() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, len(ROWS) + 1))
    files = [name for _, name, _ in ROWS]
    assert len(set(files)) == len(files)
    assert 0 < len(files) <= MAY_BE_OPENED


def test_every_file_is_there_and_has_the_names_of_its_row() -> None:
    for _, name, what in ROWS:
        source = path_of(name).read_text()
        for cited in re.findall(r"`([A-Za-z_.]+)`", what):
            if cited in {"detections", "Detection", "Candidate", "Worker"}:
                continue  # a stream, or what the file makes or uses
            for part in cited.split("."):
                assert re.search(rf"\b(def|class) {part}\b", source), f"{name}: {cited}"


def test_other_files_that_the_text_names_are_there() -> None:
    for cited in re.findall(r"`((?:[a-z]+/)+[a-z_*]*(?:\.py)?)`", TEXT):
        bases = (ROOT, ROOT / "ampelstream")
        assert any(list(base.glob(cited.rstrip("/"))) for base in bases), cited


def test_every_word_of_the_glossary_is_in_the_file_that_its_row_names() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| ([a-z ,]+) \| .* \| (\S+) \|$", glossary, re.MULTILINE)
    assert len(rows) > 20
    for words, where in rows:
        if words == "word":
            continue
        linked = re.fullmatch(r"\[[^]]+\]\(([^)]+)\)", where)
        path = ROOT / "docs" / linked[1] if linked else path_of(where.strip("`"))
        text = re.sub(r"(?<=[a-z])(?=[A-Z])|\W|_", " ", f"{path} {path.read_text()}").lower()
        for word in words.split(", "):
            assert re.search(rf"\b{word.replace(' ', ' +')}s?\b", text), (
                f"{word}: not in {path.name}"
            )


def test_the_filter_of_the_document_says_the_same_of_columns_and_of_alerts() -> None:
    text = (ROOT / "docs" / "columns.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    there: dict[str, Any] = {"__name__": "bright"}
    exec(snippet, there)  # noqa: S102  (it is ours)
    packets = simulate_packets(60)
    for limit in (17.5, 19.0, 20.5):
        unit = there["Bright"](max_mag=limit)
        ((batch, _),) = batches(packets, unit.asks())
        verdicts = unit.judge(batch)
        reasons = [verdicts.reasons[code - 1] if code else "" for code in verdicts.codes.tolist()]
        alone = [unit.evaluate(decode(packet)) for packet in packets]
        assert reasons == [one.reason for one in alone]
        faint = next(one for one in alone if one.reason == "faint")
        assert faint.seen["magpsf"] > faint.allowed["max_mag"] == limit


EVENTS = ROOT / "docs" / "events.md"


def test_the_example_of_events_can_be_asked_for() -> None:
    [text] = [text for kind, _, text in blocks(EVENTS) if kind == "yaml"]
    spec = EventsSpec.model_validate(yaml.safe_load(text)["events"])
    where = Condition(spec.where)
    burst = EventRevision("Fermi-1", "UPDATE", "", "1", kind="grb", duration_class="SHORT")
    assert where.holds(burst.facts())
    assert not where.holds(msgspec.structs.replace(burst, duration_class="LONG").facts())


def test_the_names_that_select_events_are_there() -> None:
    table = EVENTS.read_text().partition("`where` may use")[2].partition("What a notice")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    names = {name.partition(".")[0] for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    assert len(names) > 15
    assert names <= EventRevision("S1", "UPDATE", "", "1").facts().keys()
    said = set(re.findall(r"`(\w+)`", EVENTS.read_text().partition("`kinds` are")[2][:200]))
    assert said >= set(KINDS)


def test_its_commands_are_those_of_the_readme() -> None:
    assert set(commands(EVENTS)) <= set(commands(ROOT / "README.md"))


def test_the_unit_of_the_document_gets_the_fields_that_it_asks_for() -> None:
    text = (ROOT / "docs" / "lightcurves.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    there: dict[str, Any] = {"__name__": "star"}
    exec(snippet, there)  # noqa: S102  (it is ours)
    unit = there["NearestStar"]()
    fields = {"sgscore1": 0.25, "distpsnr1": 1.5}
    assert ALERT_FIELDS["ztf"].keys() >= set(unit.alert_fields["ztf"]) == fields.keys()
    alerts = (
        AlertFacts(1, 2460000.5, 10.0, 20.0, dict.fromkeys(fields)),
        AlertFacts(2, 2460001.5, 10.0, 20.0, fields),
    )
    found = unit.compute(Inputs(LightCurve("ZTF24a", ()), alerts=alerts))
    assert found == {"score": 0.25, "distance": 1.5}
    for view in re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE):
        assert hasattr(LightCurve, view), view
