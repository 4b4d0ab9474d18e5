"""A sky map that is larger than a record comes, and is kept, in parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.core.accounting import Accounting
from ampelstream.core.events import MapCache, Region
from ampelstream.core.ingest import Ingest
from ampelstream.core.state import keys
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.record import SourceRecord
from ampelstream.topology import Topology

T0 = 2460000.0
PART = 5000


@pytest.fixture
def parts_of(
    wide: Topology, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], list[Announcement]]:
    """What ingest gives for a notice, in parts of 5,000 bytes."""
    monkeypatch.setattr("ampelstream.core.ingest.MAP_PART_BYTES", PART)

    def parts(notice: bytes) -> list[Announcement]:
        accounting = Accounting()
        tally = accounting.tally()
        ingest = Ingest(wide, tally, lambda: 4e9)
        record = SourceRecord(Coordinates("notices", 0, 7), "notices", notice)
        found = [output.value for output in ingest.process([record])]
        ingest.committed()
        assert accounting.total("announced") == 1
        return [one for one in found if isinstance(one, Announcement)]

    return parts


def maps(partition: Any) -> dict[bytes, bytes]:
    return dict(partition.backend.scan(keys.MAP, keys.stop(keys.MAP)))


def test_a_large_map_is_cut_and_a_small_one_is_not(
    parts_of: Any, make_notice: Callable[..., bytes]
) -> None:
    parts = parts_of(make_notice())
    assert len(parts) > 3
    assert [one.part for one in parts] == list(range(len(parts)))
    assert {one.parts for one in parts} == {len(parts)}
    assert [len(one.skymap) for one in parts[:-1]] == [PART] * (len(parts) - 1)
    assert 0 < len(parts[-1].skymap) <= PART
    [none] = parts_of(make_notice(kind="RETRACTION"))
    assert (none.part, none.parts, none.skymap) == (0, 1, b"")
    whole = Announcement(parts[0].revision, b"".join(one.skymap for one in parts), parts[0].where)
    assert whole.split(10**9) == [whole]
    assert whole.split(PART) == parts


def test_it_says_the_same_as_in_one_record(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any, parts_of: Any
) -> None:
    one, many = make_partition(wide), make_partition(wide)
    part = parts_of(make_notice())[0]
    packed = b"".join(part.skymap for part in parts_of(make_notice()))
    one.take(make_detection(), Announcement(part.revision, packed, part.where))
    outputs = many.take(make_detection(), *parts_of(make_notice()))
    assert [type(value) for value in outputs] == [Candidate]
    assert many.objects.candidates() == one.objects.candidates() != []
    assert many.objects.censuses() == one.objects.censuses()
    one.commit()
    many.commit()
    assert b"".join(maps(many).values()) == b"".join(maps(one).values()) == packed
    many.reopen()
    assert many.take(make_detection(candid=2, offset=1)) != []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_restarts_repetitions_and_alerts_in_between_change_nothing(
    wide: Topology,
    make_partition: Any,
    make_detection: Any,
    make_notice: Any,
    parts_of: Any,
    data: st.DataObject,
) -> None:
    parts = parts_of(make_notice())
    plain = make_partition(wide)
    plain.take(*parts, make_detection())
    partition = make_partition(wide)
    since: list[Any] = []
    at = data.draw(st.integers(0, len(parts)))
    for value in [*parts[:at], make_detection(), *parts[at:]]:
        since.append(value)
        partition.take(value)
        event = data.draw(st.sampled_from(["go on", "commit", "killed", "sent again"]))
        if event == "commit":
            partition.commit()
            since.clear()
        elif event == "killed":
            partition.reopen()
            partition.take(*since)
        elif event == "sent again":  # ingest was killed, and does the notice again
            repeated = parts[: value.part + 1] if isinstance(value, Announcement) else []
            partition.take(*repeated)
            since += repeated
    assert partition.objects.candidates() == plain.objects.candidates() != []
    plain.commit()
    partition.commit()
    assert maps(partition) == maps(plain)


def test_a_part_that_never_came_is_a_dead_letter_and_nothing_else(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any, parts_of: Any
) -> None:
    partition = make_partition(wide)
    parts = parts_of(make_notice())
    [letter] = partition.take(make_detection(), *parts[:1], *parts[2:])
    assert isinstance(letter, DeadLetter)
    assert letter.where == Coordinates("notices", 0, 7)
    assert letter.reason.startswith("of the sky map of event SIM230225a the parts [1] of")
    assert partition.objects.candidates() == []
    # sent again, it is whole
    assert [type(one) for one in partition.take(*parts)] == [Candidate]


def test_parts_that_do_not_belong_together_are_a_dead_letter(
    wide: Topology, make_partition: Any, make_notice: Any, parts_of: Any
) -> None:
    partition = make_partition(wide)
    parts = parts_of(make_notice())
    swapped = [
        Announcement(one.revision, other.skymap, one.where, "", one.part, one.parts)
        for one, other in zip(parts, [parts[1], parts[0], *parts[2:]], strict=True)
    ]
    [letter] = partition.take(*swapped)
    assert letter.error == "SkyMapError"
    assert "unreadable" in letter.reason


def test_parts_of_an_earlier_packing_that_are_too_many_are_removed(
    wide: Topology, make_partition: Any, make_detection: Any, make_notice: Any, parts_of: Any
) -> None:
    partition = make_partition(wide)
    parts = parts_of(make_notice())
    packed = b"".join(one.skymap for one in parts)
    finer = Announcement(parts[0].revision, packed, parts[0].where).split(PART // 2)
    partition.take(*finer[:-1], *parts, make_detection())
    partition.commit()
    assert len(maps(partition)) == len(parts)
    partition.reopen()
    assert partition.objects.skymap("SIM230225a").to_bytes() == packed


def test_the_parts_are_forgotten_with_their_event(
    wide: Topology, make_partition: Any, make_notice: Any, parts_of: Any
) -> None:
    partition = make_partition(wide)
    partition.take(*parts_of(make_notice()))
    partition.commit()
    assert len(maps(partition)) > 3
    partition.take(Tick(T0 + 1000, "alerts", 0, T0 + 2000))
    partition.commit()
    assert maps(partition) == {}


def test_a_notice_that_is_large_without_its_map_is_a_dead_letter(
    wide: Topology, make_notice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ampelstream.core.ingest.MAP_PART_BYTES", 10)
    monkeypatch.setattr("ampelstream.core.ingest.MAX_RECORD_BYTES", 100)
    ingest = Ingest(wide, Accounting().tally(), lambda: 4e9)
    [output] = ingest.process([SourceRecord(Coordinates("n", 0, 0), "notices", make_notice())])
    assert isinstance(output.value, DeadLetter)
    assert "a stream takes 100" in output.value.reason


def test_maps_in_memory_are_bounded_by_their_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    class Map:
        def __init__(self, tiles: int) -> None:
            self.order = np.zeros(tiles)

    monkeypatch.setattr("ampelstream.core.events._TILES_IN_MEMORY", 100)
    cache = MapCache()

    def keep(name: str, tiles: int) -> list[str]:
        cache.keep((name, ""), Map(tiles))  # type: ignore[arg-type]  # (as much of a map as it asks for)
        return [event for event, _ in cache.maps]

    assert keep("a", 40) == ["a"]
    assert keep("b", 50) == ["a", "b"]
    assert keep("a", 40) == ["b", "a"]
    assert keep("c", 30) == ["a", "c"]
    assert keep("large", 500) == ["large"]
    assert keep("d", 10) == ["d"]
    cache.drop("d")
    for number in range(20):
        keep(str(number), 1)
    assert len(cache.maps) == 16


def test_a_region_of_many_ranges_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = np.array([[0, 5], [7, 1 << 40], [1 << 41, (1 << 41) + 1]])
    plain = Region(ranges)
    monkeypatch.setattr("ampelstream.core.events._MANY_RANGES", 1)
    large = Region(ranges)
    asked = [-1, 0, 4, 5, 7, 1 << 39, 1 << 40, 1 << 41, 1 << 42]
    assert [one in large for one in asked] == [one in plain for one in asked]
    assert list(large.cells()) == list(plain.cells())
