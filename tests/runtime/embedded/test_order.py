"""The order of arrival does not matter, nor does repetition."""

import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.cli.workflow import open_inputs
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.shipped import topology_path
from ampelstream.simulate import Night, simulate_notice
from ampelstream.sources import merge
from ampelstream.state.memory import MemoryBackend

T0 = 2460000.0
TEXT = """
name: order
version: "1"
description: for the tests
events: {where: "far < 1.0"}
channels:
  all:
    region: 0.9
    window: [0, 10]
    lightcurve: {before: 30, after: 10}
    units:
      - unit: SkyMapProbability
      - unit: RiseDecline
    rank_by: {field: SkyMapProbability.cumprob, order: ascending}
  fresh:
    region: 0.5
    window: [0, 3]
    lightcurve: {before: 30, after: 10}
    match:
      - unit: PredetectionFilter
    units:
      - unit: SkyMapProbability
"""


def notices() -> list[bytes]:
    """Two events: one moves and is retracted, one moves and stays."""
    kinds = [
        ("SIM230225a", "PRELIMINARY", "2023-02-25T00:05:00Z", T0, 40.0, 0.0, 6.0),
        ("SIM230225a", "UPDATE", "2023-02-25T02:00:00Z", T0 + 1e-5, 44.0, 2.0, 4.0),
        ("SIM230225a", "RETRACTION", "2023-02-25T03:00:00Z", None, 0.0, 0.0, 1.0),
        ("SIM230226b", "PRELIMINARY", "2023-02-26T00:05:00Z", T0 + 1.0, 41.0, 1.0, 5.0),
        ("SIM230226b", "INITIAL", "2023-02-26T01:05:00Z", T0 + 1.0, 50.0, 0.0, 4.0),
    ]
    return [
        simulate_notice(
            event_id=name,
            alert_type=kind,
            time_created=created,
            t0_jd=t0,
            ra=ra,
            dec=dec,
            width_deg=width,
            order=5,
        )
        for name, kind, created, t0, ra, dec, width in kinds
    ]


def rows(make_row: Callable[..., Any]) -> list[dict[str, Any]]:
    """Objects in, beside and between the maps, young and old, several alerts each."""
    made: list[dict[str, Any]] = []
    candid = 100
    for number, ra in enumerate((36.0, 40.0, 41.5, 44.0, 47.0, 50.0, 80.0)):
        history: list[tuple[float, int | None]] = [(T0 - 5.0, None)]
        if number % 3 == 0:
            history.append((T0 - 2.0, candid + 50))
        for days in (0.5, 1.5, 4.0)[: 1 + number % 3]:
            candid += 1
            name = f"ZTF{number:02d}"
            made.append(make_row(name, candid, T0 + days, ra + candid * 1e-5, 1.0, list(history)))
            history.append((T0 + days, candid))
        candid += 100
    return made


@pytest.fixture(scope="module")
def mail() -> list[bytes]:
    return notices()


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(dice=st.randoms(use_true_random=False), repeats=st.integers(0, 8))
def test_every_interleaving_gives_the_same_candidates(
    make_topology: Callable[[str], Any],
    make_driver: Callable[[Any], Any],
    make_row: Callable[..., Any],
    mail: list[bytes],
    dice: random.Random,
    repeats: int,
) -> None:
    topology = make_topology(TEXT)
    records: list[tuple[str, Any]] = [
        *(("notices", one) for one in mail),
        *(("alerts", one) for one in rows(make_row)),
    ]
    straight = make_driver(topology)
    for stream, value in records:
        straight.feed(stream, value)
    expected = straight.candidates()
    assert {one.status.value for one in expected.values()} == {"active", "outside", "retracted"}

    mixed = [*records, *dice.choices(records, k=repeats)]
    dice.shuffle(mixed)
    driver = make_driver(topology)
    for stream, value in mixed:
        driver.feed(stream, value)
    assert driver.candidates() == expected
    assert driver.count("dead_letters") == 0
    assert driver.count("known") == repeats


@pytest.mark.parametrize("forget", [False, True])
def test_names_of_files_do_not_matter(
    make_topology: Callable[[str], Any],
    make_night: Callable[..., Night],
    tmp_path: Path,
    *,
    forget: bool,
) -> None:
    """But for the coordinates, in which they stand; also those of an alert of 2050."""
    night = make_night()
    with tarfile.open(night.alerts) as archive:
        members = [archive.extractfile(name) for name in archive.getnames()]
        packets = [member.read() for member in members if member]
    late = fastavro.reader(io.BytesIO(packets[150]))
    packet: Any = next(late)
    packet["candidate"]["jd"], packet["objectId"] = 2470000.5, "ZTF50aaaaaaa"
    out = io.BytesIO()
    fastavro.writer(out, late.writer_schema or {}, [packet])
    packets.append(out.getvalue())
    topology = make_topology(topology_path("skymap-only").read_text())
    dice = random.Random(11)  # noqa: S311  (a reproducible test, not a secret)
    results = []
    for turn in range(3):
        incoming = tmp_path / str(turn) / "incoming"
        incoming.mkdir(parents=True)
        for name, value in zip(dice.sample(range(1000), len(packets)), packets, strict=True):
            (incoming / f"{name:04d}.avro").write_bytes(value)
        engine = Engine(topology, MemoryBackend(), forget=forget)
        records = merge(open_inputs([incoming], [night.notices]), {})
        engine.process(list(records))
        engine.finish()
        assert engine.accounting.total("watermark_refused") == 1
        results.append(
            [
                msgspec.structs.replace(
                    one, provenance=msgspec.structs.replace(one.provenance, records=())
                )
                for one in engine.objects.candidates()
            ]
        )
    assert len(results[0]) > 10
    assert results[0] == results[1] == results[2]


def test_what_a_filter_takes_back_is_sent_and_not_listed(
    make_topology: Callable[[str], Any],
    make_driver: Callable[[Any], Any],
    make_row: Callable[..., Any],
    mail: list[bytes],
) -> None:
    driver = make_driver(make_topology(TEXT))
    driver.feed("notices", mail[0])
    first = driver.feed("alerts", make_row("ZTF99", 1, T0 + 0.5, 40.0, 0.0))
    assert {c.channel for c in first} == {"all", "fresh"}
    later = driver.feed(
        "alerts", make_row("ZTF99", 2, T0 + 0.6, 40.0, 0.0, [(T0 - 3.0, 77), (T0 + 0.5, 1)])
    )
    assert {(c.channel, c.status.value) for c in later} == {
        ("all", "active"),
        ("fresh", "rejected"),
    }
    assert [key[2] for key in driver.candidates()] == ["all"]
