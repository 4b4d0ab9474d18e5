"""Fields of alerts for units that ask for them: kept, sent, merged, and part of the input."""

import io
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import fastavro
import msgspec
import pytest

from ampelstream.codecs import own
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.objectstore import merge_detection
from ampelstream.core.state import decode, encode
from ampelstream.errors import ConfigError
from ampelstream.model.alert import Alert
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord
from ampelstream.simulate import simulate_packets
from ampelstream.topology import Topology
from ampelstream.units import AlertFacts, AlertFilter, Inputs, ObjectUnit, Verdict

T0 = 2460000.0
ASKED = ("sgscore1", "distpsnr1", "ssnamenr", "programid", "isdiffpos", "drb")


class Star(ObjectUnit):
    """What the alerts say of the nearest star."""

    provides: ClassVar[str] = "star"
    alert_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"ztf": ASKED}

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        alerts: list[AlertFacts] = list(inputs.alerts)
        return {
            "candids": [one.candid for one in alerts],
            "scores": [one.fields["sgscore1"] for one in alerts],
            "names": sorted(alerts[0].fields) if alerts else [],
        }


class Plain(ObjectUnit):
    """Asks for nothing, and is told nothing."""

    provides: ClassVar[str] = "plain"

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        return {"alerts": len(inputs.alerts)}


class Misspelt(Star):
    """Asks for what no alert has."""

    alert_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"ztf": ("sgscor1",), "lsst": ("snrr",)}


class Slow(AlertFilter):
    """Sees one alert at a time."""

    def evaluate(self, alert: Alert) -> Verdict:
        return Verdict(accept=alert.candid is not None)


TEXT = """
name: facts
version: 1
channels:
  all:
    region: 0.99
    window: [0, 10]
    units:
    - {unit: "test_alertfacts:Star", name: Star}
    - {unit: "test_alertfacts:Plain", name: Plain}
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "test_alertfacts", sys.modules[__name__])


@pytest.fixture
def topology(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(TEXT)


def detections(topology: Topology, values: list[Any]) -> list[Detection]:
    ingest = Ingest(topology, Accounting().tally(), lambda: 4e9)
    records = [SourceRecord(Coordinates("a", 0, n), "alerts", v) for n, v in enumerate(values)]
    outputs = [output.value for output in ingest.process(records)]
    return [value for value in outputs if isinstance(value, Detection)]


def test_ingest_reads_what_is_asked_from_columns_alone_and_from_rows(
    topology: Topology, make_topology: Callable[[str], Topology]
) -> None:
    packets = simulate_packets(20)
    rows = [next(fastavro.reader(io.BytesIO(packet))) for packet in packets]
    together = detections(topology, packets)
    assert len(together) == 20
    slow = TEXT.replace("    region", '    filters: [{unit: "test_alertfacts:Slow"}]\n    region')
    for values in (packets, rows):
        for one, other in zip(together, detections(make_topology(slow), values), strict=True):
            assert one.facts == other.facts
            kinds = [{name: type(v) for name, v in a.facts.items()} for a in (one, other)]
            assert kinds[0] == kinds[1]
    for one, row in zip(together, rows, strict=True):
        assert isinstance(row, dict)
        assert one.facts == {name: row["candidate"].get(name) for name in ASKED}
    assert any(one.facts["sgscore1"] is not None for one in together)


def test_nobody_asks_nothing_is_kept(make_topology: Callable[[str], Topology]) -> None:
    silent = make_topology(TEXT.replace('    - {unit: "test_alertfacts:Star", name: Star}\n', ""))
    found = detections(silent, simulate_packets(3))
    assert [one.facts for one in found] == [{}, {}, {}]


def test_facts_travel_and_are_kept(make_detection: Callable[..., Any]) -> None:
    facts = {"a": 1, "b": 1.0, "c": True, "d": "x", "e": None, "f": 2**62}
    sent = msgspec.structs.replace(make_detection(), facts=facts)
    read = own.decode_detection(own.encode_detection(sent))
    assert read == sent
    state, _ = merge_detection(None, read)
    again = decode.object(encode(state))
    assert again.alerts[0].facts == facts
    assert [type(v) for v in again.alerts[0].facts.values()] == [type(v) for v in facts.values()]


def test_of_one_alert_in_two_records_the_first_one_speaks(
    make_detection: Callable[..., Any],
) -> None:
    first = msgspec.structs.replace(make_detection(offset=0), facts={"sgscore1": 0.1})
    second = msgspec.structs.replace(make_detection(offset=1), facts={"sgscore1": 0.9})
    bare = make_detection(offset=0)  # the first, before anybody asked
    for order in ([first, second], [second, first], [bare, second, first], [first, bare, second]):
        state = None
        for one in order:
            state, _ = merge_detection(state, one)
        assert state is not None
        assert state.alerts[0].facts == {"sgscore1": 0.1}


def test_units_are_told_what_they_ask_for_and_compute_anew_when_it_changes(
    topology: Topology,
    make_partition: Callable[..., Any],
    make_detection: Callable[..., Any],
    make_notice: Callable[..., bytes],
) -> None:
    def results(*alerts: Any) -> dict[str, Any]:
        partition = make_partition(topology)
        partition.take(make_notice(), *alerts)
        [state] = partition.objects.store
        [candidate] = state.candidates
        return {one.name: one for one in candidate.results}

    def alert(candid: int, score: float, **more: Any) -> Any:
        made = make_detection(candid=candid, offset=candid, **more)
        return msgspec.structs.replace(made, facts={"sgscore1": score})

    pair = (alert(2, 0.5, jd=T0 + 2.0), alert(3, 0.25, jd=T0 + 1.0))
    others = (alert(4, 0.1, jd=T0 + 400.0), alert(5, 0.2, channels=("other",)))
    found = results(*pair, *others)
    # in the order of time; not what another channel accepted, nor what lies outside the time range
    assert found["Star"].body["candids"] == [3, 2]
    assert found["Star"].body["scores"] == [0.25, 0.5]
    assert found["Star"].body["names"] == sorted(ASKED)
    assert found["Plain"].body == {"alerts": 0}
    changed = results(alert(2, 0.75, jd=T0 + 2.0), pair[1], *others)
    assert changed["Star"].input_digest != found["Star"].input_digest
    assert changed["Star"].body["scores"] == [0.25, 0.75]
    assert changed["Plain"] == found["Plain"]


@pytest.mark.parametrize(
    ("unit", "survey", "said"),
    [
        (
            "Misspelt",
            "ztf",
            r"asks for sgscor1, and alerts of ztf have no such field; did you mean sgscore",
        ),
        (
            "Misspelt",
            "lsst",
            r"asks for snrr, and alerts of lsst have no such field; did you mean snr\?",
        ),
        ("Star", "lsst", r"asks for fields of alerts of ztf, and the channel reads lsst"),
    ],
)
def test_a_topology_with_a_unit_that_asks_in_vain_is_refused(
    make_topology: Callable[[str], Topology], unit: str, survey: str, said: str
) -> None:
    text = (
        "{name: bad, version: 1, channels: {c: {alerts: {survey: SURVEY}, "
        "units: [{unit: 'test_alertfacts:UNIT'}]}}}"
    )
    with pytest.raises(ConfigError, match=rf"channels\.c\.units\.0.*: {unit} {said}"):
        make_topology(text.replace("SURVEY", survey).replace("UNIT", unit))


def test_what_is_asked_for_is_part_of_the_topology(
    topology: Topology, make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert topology.channels[0].alert_fields == set(ASKED)
    silent = make_topology(TEXT.replace('    - {unit: "test_alertfacts:Star", name: Star}\n', ""))
    monkeypatch.setattr(Star, "alert_fields", {"ztf": ASKED[1:]})
    fewer = make_topology(TEXT)
    # who only ingests keeps other fields: that is told by what tells filters apart
    assert len({one.filters for one in (topology, silent, fewer)}) == 3
    prints = [one.channels[0].units[0].config_hash for one in (topology, fewer)]
    assert prints[0] != prints[1]
