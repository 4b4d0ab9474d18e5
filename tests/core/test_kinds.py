"""Events of every kind: maps, retractions and tests of them, whatever arrives first."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.detection import Detection
from ampelstream.model.times import iso_from_jd
from ampelstream.topology import Topology
from tests.codecs.expected_notices import GCN, VOEVENTS

T0 = 2460000.0
KINDS = """
name: kinds
version: 1
events: {{kinds: [gw, neutrino, grb, xray, frb], test_events: {test}, where: "{where}"}}
channels:
  all: {{region: 0.9, window: [0, 10], units: [{{unit: SkyMapProbability}}]}}
"""


def gbm(number: int, **more: Any) -> bytes:
    row = {
        "mission": "Fermi",
        "instrument": "GBM",
        "alert_datetime": iso_from_jd(T0 + number / 1440),
        "alert_type": "update" if number > 1 else "initial",
        "trigger_time": iso_from_jd(T0),
        "id": ["745121685", "bn240812094"],
        "record_number": number,
    }
    return json.dumps(row | more).encode()


def place(ra: float, error: float) -> dict[str, Any]:
    return {"ra": ra, "dec": 0.0, "ra_dec_error": error, "systematic_included": True}


@pytest.fixture
def topology(make_topology: Callable[[str], Topology]) -> Callable[..., Topology]:
    def make(where: str = "", *, test: bool = False) -> Topology:
        return make_topology(KINDS.format(test=str(test).lower(), where=where))

    return make


def statuses(partition: Any) -> dict[str, CandidateStatus]:
    return {one.object_id: one.status for one in partition.objects.candidates()}


def test_a_burst_is_followed_from_its_trigger_to_its_retraction_in_any_order(
    topology: Callable[..., Topology],
    make_partition: Callable[[Topology], Any],
    make_detection: Callable[..., Detection],
) -> None:
    built = topology()
    said: list[Any] = [
        gbm(1),  # a trigger without a position
        gbm(2, **place(40.0, 20.0)),
        gbm(3, **place(43.0, 5.0)),
        gbm(4),  # says nothing of the position, and leaves it
        make_detection(object_id="ZTF1", ra=42.0),
        make_detection(object_id="ZTF2", ra=65.0),
    ]
    rng = random.Random(1)  # noqa: S311  (an order, not a secret)
    for _ in range(8):
        rng.shuffle(said)
        partition = make_partition(built)
        partition.take(*said)
        assert statuses(partition) == {
            "ZTF1": CandidateStatus.ACTIVE,
            "ZTF2": CandidateStatus.OUTSIDE,
        }
        [event] = partition.objects.events
        assert event.event_id == "Fermi-745121685"
        one = next(one for one in partition.objects.candidates() if one.object_id == "ZTF1")
        assert one.t0_jd == pytest.approx(T0)
        assert one.results[0].body["cumprob"] < 0.3
    # only one of the ids, no time, no number
    partition.take(b'{"mission": "Fermi", "id": "745121685", "alert_type": "retraction"}')
    assert set(statuses(partition).values()) == {CandidateStatus.RETRACTED}


@pytest.mark.parametrize("ask", [False, True])
def test_a_test_is_followed_where_the_topology_asks(
    topology: Callable[..., Topology],
    make_partition: Callable[[Topology], Any],
    make_detection: Callable[..., Detection],
    make_notice: Callable[..., bytes],
    *,
    ask: bool,
) -> None:
    mock = make_notice(event_id="MS230225a", t0_jd=T0)
    injected = gbm(2, **place(40.0, 20.0), alert_tense="injection")
    partition = make_partition(topology(test=ask))
    partition.take(mock, injected, make_detection(ra=40.5, jd=T0 + 1))
    for event in partition.objects.events:
        why = partition.topology.events.why_not(event.current)
        assert ("events.test_events is false" in why) is not ask
    found = {one.event_id for one in partition.objects.candidates()}
    assert found == ({"MS230225a", "Fermi-745121685"} if ask else set())


def test_events_are_selected_by_what_a_notice_says_and_does_not_say(
    topology: Callable[..., Topology],
    make_partition: Callable[[Topology], Any],
    make_detection: Callable[..., Detection],
    make_notice: Callable[..., bytes],
) -> None:
    gold = {"mission": "IceCube", "instrument": "IC86", "id": ["1_2"], "p_astro": 0.6}
    values = [
        make_notice(t0_jd=T0, classification={}),
        make_notice(event_id="S2", t0_jd=T0),
        gbm(2, **place(40.0, 20.0), duration_class="SHORT"),
        gbm(2, **gold, **place(40.0, 2.0)),
        make_detection(ra=40.5, jd=T0 + 1),
    ]
    for where, expected in {
        "classification == null and kind == 'gw'": {"SIM230225a"},
        "classification.BNS > 0.5": {"S2"},
        "duration_class == 'SHORT'": {"Fermi-745121685"},
        "kind == 'neutrino' and signalness > 0.5": {"IceCube-1_2"},
        "mission == 'Fermi' and instrument == 'GBM'": {"Fermi-745121685"},
        "ra_dec_error < 5": {"IceCube-1_2"},
        "properties.record_number == 2": {"Fermi-745121685", "IceCube-1_2"},
    }.items():
        partition = make_partition(topology(where))
        found = [one for one in partition.take(*values) if isinstance(one, Candidate)]
        assert {one.event_id for one in found} == expected, where


@pytest.mark.realdata
def test_real_notices_make_the_same_events_in_any_order(
    topology: Callable[..., Topology], make_partition: Callable[[Topology], Any], data_dir: Path
) -> None:
    built = topology(test=True)
    folders = ("voevent", "gcn", "lvk-MS181101ab")
    root = data_dir / "notices"
    files = [one for folder in folders for one in sorted((root / folder).iterdir())]
    assert len(files) == 51 + 13 + 6
    rng = random.Random(2)  # noqa: S311  (an order, not a secret)
    seen: list[Any] = []
    for _ in range(3):
        rng.shuffle(files)
        partition = make_partition(built)
        partition.take(*(path.read_bytes() for path in files))
        assert partition.accounting.total("dead_letters") == 0
        seen.append(
            [
                (
                    event.event_id,
                    event.retracted,
                    event.current_localisation,
                    [one.revision.revision_id for one in event.state.revisions],
                )
                for event in partition.objects.events
            ]
        )
    assert seen[0] == seen[1] == seen[2]
    named = {one.event_id for one in (*VOEVENTS, *GCN)} | {"MS181101ab"}
    assert [event_id for event_id, *_ in seen[0]] == sorted(named)
    retracted = {event_id for event_id, withdrawn, *_ in seen[0] if withdrawn}
    assert retracted == {"CHIME-427325191", "MS181101ab"}
    # GBM's last word is its final position, whatever came last
    final = next(one for one in seen[0] if one[0] == "Fermi-745121685")
    assert len(final[3]) == 7
    event = partition.objects.events.get("Fermi-745121685")
    assert event.current.record_number == 7
    assert event.skymap().credible_level(29.24, -63.62) < 0.05
