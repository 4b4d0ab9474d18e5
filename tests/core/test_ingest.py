"""Ingest: every alert ends in one of four ways, and one channel's failure is its own."""

import base64
import io
import json
import math
import re
import sys
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.errors import UnitError, UnknownSchema
from ampelstream.model.announcement import Announcement, Tick
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord
from ampelstream.model.streams import Output, Parked
from ampelstream.model.times import iso_from_jd
from ampelstream.simulate import simulate_packets
from ampelstream.sky.skymap import SkyMap
from ampelstream.topology import Topology
from ampelstream.units import ACCEPT, AlertFilter, Verdict

T0 = 2460000.0
NOW = (T0 - 2440587.5) * 86400.0


class Picky(AlertFilter):
    """Accepts what a field says, and breaks where it says so."""

    mode: str = "accept"

    def evaluate(self, alert: Any) -> Verdict:
        if alert.candidate.get("breaks") == self.mode:
            raise KeyError("no such field")
        return Verdict(accept=False, reason="dull") if self.mode == "reject" else ACCEPT


class Broken(AlertFilter):
    """Gives no verdict, in several ways."""

    how: str

    def evaluate(self, alert: Any) -> Verdict:
        given: Any = {"nothing": None, "bool": True, "text": "yes"}
        if self.how == "raises":
            said = f"{alert.object_id} at {alert.jd}"
            return int(said)  # type: ignore[return-value]  # (the mistake that is meant)
        if self.how == "unit error":
            raise UnitError("no verdict of this one")
        verdict: Verdict = given[self.how]
        return verdict


ONE = """
name: one
version: 1
channels:
  bad: {filters: [{unit: "test_ingest:Broken", name: cut, config: {how: HOW}}]}
"""
TWO = """
name: two
version: 1
channels:
  first: {filters: [{unit: "test_ingest:Picky", config: {mode: ONE}}]}
  second: {filters: [{unit: "test_ingest:Picky", config: {mode: OTHER}}]}
"""


@pytest.fixture
def two(
    make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Topology]:
    monkeypatch.setitem(
        __import__("sys").modules, "test_ingest", __import__("sys").modules[__name__]
    )

    def make(one: str, other: str) -> Topology:
        return make_topology(TWO.replace("ONE", one).replace("OTHER", other))

    return make


@pytest.fixture
def broken(
    make_topology: Callable[[str], Topology], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Topology]:
    """A channel whose filter is broken, and nothing else."""
    monkeypatch.setitem(sys.modules, "test_ingest", sys.modules[__name__])
    return lambda how: make_topology(ONE.replace("HOW", how))


def row(jd: float = T0, **more: Any) -> Mapping[str, Any]:
    own: dict[str, Any] = {
        "jd": jd,
        "fid": 1,
        "pid": 1,
        "candid": 7,
        "ra": 1.0,
        "dec": 2.0,
        "magpsf": 19.0,
    }
    own |= {"sigmapsf": 0.1, "diffmaglim": 20.5, "isdiffpos": "t", "programid": 1} | more
    return {"objectId": "ZTF01", "candid": 7, "candidate": own, "prv_candidates": []}


def ingest(topology: Topology, *values: Any, **options: Any) -> tuple[list[Output], Accounting]:
    accounting = Accounting()
    processor = Ingest(topology, accounting.tally(), lambda: NOW, **options)
    outputs: list[Output] = []
    for number, value in enumerate(values):
        where = Coordinates("a", 0, number)
        record = value if isinstance(value, SourceRecord) else SourceRecord(where, "alerts", value)
        outputs += processor.process([record])
    processor.committed()
    return outputs, accounting


def adds_up(accounting: Accounting) -> bool:
    total = accounting.total
    ends = total("passed") + total("rejected_by_all") + total("failed", "alerts") + total("parked")
    return total("received") == ends


def test_a_filter_that_fails_costs_its_own_channel_only(two: Callable[..., Topology]) -> None:
    outputs, accounting = ingest(two("accept", "other"), row(breaks="other"))
    [passed] = [one.value for one in outputs if isinstance(one.value, Detection)]
    assert passed.channels == ("first",)
    [letter] = [one.value for one in outputs if isinstance(one.value, DeadLetter)]
    assert (letter.step, letter.error) == ("filter", "KeyError")
    place = r"channel second, unit Picky: 'no such field' \(Picky.evaluate at test_ingest.py:\d+\)"
    assert re.fullmatch(place, letter.reason)
    assert accounting.total("failed") == 0
    assert accounting.total("dead_letters") == 1
    assert adds_up(accounting)


@pytest.mark.parametrize(
    ("how", "error", "words", "line"),
    [
        ("nothing", "UnitError", "evaluate gave None, and must give a Verdict", "def evaluate"),
        ("bool", "UnitError", "evaluate gave bool, and must give a Verdict", "def evaluate"),
        ("text", "UnitError", "evaluate gave str, and must give a Verdict", "def evaluate"),
        ("raises", "ValueError", "invalid literal for int()", "return int(said"),
        ("unit error", "UnitError", "no verdict of this one", "raise UnitError"),
    ],
)
def test_what_is_no_verdict_is_a_dead_letter_that_says_where(
    how: str, error: str, words: str, line: str, broken: Callable[[str], Topology]
) -> None:
    outputs, accounting = ingest(broken(how), row())
    [letter] = [one.value for one in outputs]
    assert isinstance(letter, DeadLetter)
    assert (letter.step, letter.error) == ("filter", error)
    assert letter.reason.startswith("channel bad, unit cut: ")
    assert words in letter.reason
    found = re.search(r"\(Broken.evaluate at test_ingest.py:(\d+)\)$", letter.reason)
    assert found is not None
    source = Path(__file__).read_text().splitlines()
    assert line in source[int(found[1]) - 1]
    assert accounting.total("channel_failed", "bad") == 1
    assert accounting.total("unit_runs", "bad", "cut") == 1
    [(reason, number)] = accounting.by("unit_failed", "bad", "cut")
    assert (reason.startswith(f"{error}: "), number) == (True, 1)


def test_numbers_and_names_in_a_message_do_not_make_another_failure(
    broken: Callable[[str], Topology],
) -> None:
    names = ("ZTF01a", "ZTF02b", "333 x")
    values = [{**row(T0 + n), "objectId": name} for n, name in enumerate(names)]
    _, accounting = ingest(broken("raises"), *values)
    [(reason, number)] = accounting.by("unit_failed", "bad", "cut")
    assert number == 3
    assert re.search(r"'the object at #' \(Broken.evaluate at test_ingest.py:\d+\)$", reason)


def test_the_first_alerts_that_all_fail_alike_are_noticed(
    broken: Callable[[str], Topology], two: Callable[..., Topology]
) -> None:
    def said(topology: Topology, *parts: Sequence[Any]) -> str:
        made = Ingest(topology, Accounting().tally(), lambda: NOW)
        where = Coordinates("a", 0, 0)
        for part in parts:
            made.process([SourceRecord(where, "alerts", value) for value in part])
        return made.all_failed

    bad = [b"junk"] * 150
    topology = broken("raises")
    message = said(topology, [row()] * 150, [row()] * 150)
    assert message.startswith("the first 200 alerts all failed in the same way, as a[0]@0 (step")
    assert "channel bad, unit cut: invalid literal" in message
    assert said(topology, bad, bad)
    assert not said(topology, [row()] * 199)
    assert not said(topology, [row()] * 100, bad)  # not in the same way
    assert not said(two("reject", "other"), [row(breaks="other")] * 300)  # one channel had its say
    packets = list(simulate_packets(1))
    assert not said(two("reject", "reject"), packets, bad, bad)  # columns settled the first


def test_an_accepted_alert_without_a_possible_magnitude_is_counted(wide: Topology) -> None:
    values = [row(magpsf=mag) for mag in (19.0, math.nan, 1e38, -999.0, math.inf)]
    _, accounting = ingest(wide, *values)
    assert dict(accounting.by("odd_magnitudes")) == {"none": 2, "impossible": 2}


def test_an_alert_that_no_channel_takes_and_one_fails_on_is_a_dead_letter(
    two: Callable[..., Topology],
) -> None:
    outputs, accounting = ingest(two("reject", "other"), row(breaks="other"))
    assert [type(one.value) for one in outputs] == [DeadLetter]
    assert accounting.total("failed", "alerts") == 1
    assert adds_up(accounting)


def test_rejected_by_all_is_counted_by_the_first_reason(two: Callable[..., Topology]) -> None:
    outputs, accounting = ingest(two("reject", "reject"), row(), row())
    assert outputs == []
    assert list(accounting.by("rejected_by_all")) == [("dull", 2)]
    assert accounting.total("rejected") == 4
    assert adds_up(accounting)


def test_what_a_source_could_not_read_is_a_dead_letter(wide: Topology) -> None:
    where = Coordinates("night.avro", 0, 3)
    record = SourceRecord(where, "alerts", b"rest", "night.avro", fault="breaks off in block 4")
    outputs, accounting = ingest(wide, record)
    [letter] = [one.value for one in outputs]
    assert isinstance(letter, DeadLetter)
    assert (letter.step, letter.reason, letter.where) == ("read", "breaks off in block 4", where)
    assert adds_up(accounting)


def test_a_dead_letter_holds_the_record_where_it_cannot_be_read_again(
    broken: Callable[[str], Topology],
) -> None:
    topology, where = broken("raises"), Coordinates("a", 0, 1)
    [packet] = simulate_packets(1)

    def kept(value: bytes, **more: Any) -> bytes:
        outputs, _ = ingest(topology, SourceRecord(where, "alerts", value, **more))
        [letter] = [one.value for one in outputs]
        assert isinstance(letter, DeadLetter)
        assert letter.where == where
        return letter.value

    assert kept(b"junk") == kept(packet) == b""  # a file is there the next time, too
    assert kept(b"junk", expires=True) == b"junk"  # of a topic: evidence, which soon is gone
    assert kept(packet, expires=True) == b""  # a sound packet, that a backfill reads again
    assert kept(packet, expires=True, since=1.0) == packet  # one that has waited


def test_it_makes_no_second_dead_letter_in_a_backfill(wide: Topology) -> None:
    where = Coordinates("night.avro", 0, 3)
    record = SourceRecord(where, "alerts", b"rest", "night.avro", fault="breaks off in block 4")
    known = {where}
    again = Ingest(
        *(wide, Accounting().tally(), lambda: NOW), backfill=True, given_up=known.__contains__
    )
    assert again.process([record]) == []


def test_a_row_that_cannot_be_read_is_a_dead_letter_all_the_same(wide: Topology) -> None:
    deep: Any = {}
    for _ in range(600):
        deep = {"x": deep}

    class Damaged(UserDict[str, Any]):  # as of a Parquet file, whose lists are read when asked for
        def __getitem__(self, name: str) -> Any:
            if name == "prv_candidates":
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
            return super().__getitem__(name)

    outputs, accounting = ingest(wide, deep, Damaged(row()))
    letters = [one.value for one in outputs if isinstance(one.value, DeadLetter)]
    assert [one.step for one in letters] == ["decode", "filter"]
    assert all(one.value == b"" and one.reason for one in letters)
    assert adds_up(accounting)


def test_an_unknown_schema_is_parked_where_somebody_takes_it_from_there(
    wide: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_args: Any) -> None:
        raise UnknownSchema(900)

    monkeypatch.setattr("ampelstream.core.ingest.decode_alert", unknown)
    fresh = SourceRecord(Coordinates("lsst", 1, 5), "alerts", b"\x00....")
    outputs, accounting = ingest(wide, fresh, parks=True)
    [parked] = [one.value for one in outputs]
    assert isinstance(parked, Parked)
    assert (parked.where, parked.value, parked.since) == (fresh.where, fresh.value, NOW)
    assert adds_up(accounting)
    outputs, accounting = ingest(wide, fresh)
    assert [type(one.value) for one in outputs] == [DeadLetter]
    assert adds_up(accounting)


def said(outputs: list[Output]) -> list[Tick]:
    return [one.value for one in outputs if isinstance(one.value, Tick)]


def test_event_time_goes_on_with_every_alert_also_one_that_all_channels_reject(
    two: Callable[..., Topology],
) -> None:
    rows = [row(T0 - 5 + at / 100) for at in range(450)]
    outputs, _ = ingest(two("reject", "reject"), *rows)
    assert [floor(tick.jd) for tick in said(outputs)] == [T0 - 5, T0 - 4, T0 - 3, T0 - 2]
    assert {(tick.source, tick.partition, tick.at) for tick in said(outputs)} == {("a", 0, T0)}
    assert said(ingest(two("reject", "reject"), *rows, ticks=False)[0]) == []


def test_an_alert_from_the_future_is_refused_counted_and_named_once(wide: Topology) -> None:
    honest = [row(T0 - 3)] * 100
    mixed = [one for pair in zip(honest, [row(T0 + 9000)] * 100, strict=True) for one in pair]
    outputs, accounting = ingest(wide, *mixed)
    assert said(outputs) == said(ingest(wide, *honest)[0])
    assert (accounting.total("watermark_refused"), accounting.total("passed")) == (100, 200)
    assert adds_up(accounting)
    accounting = Accounting()
    processor = Ingest(wide, accounting.tally(), lambda: NOW, ticks=False)
    records = [SourceRecord(Coordinates("a", 0, n), "alerts", one) for n, one in enumerate(mixed)]
    processor.process(records[:1])
    processor.committed()
    assert accounting.example("watermark_refused") == ""
    processor.process(records[1:])
    assert accounting.example("watermark_refused") == ""  # it is not durable yet
    processor.committed()
    assert accounting.example("watermark_refused") == f"a[0]@1 of {iso_from_jd(T0 + 9000)}"


def test_sources_have_their_own_event_time_and_parked_alerts_none(wide: Topology) -> None:
    records = [
        SourceRecord(Coordinates(name, 0, 1), "alerts", row(jd), since=since, position=position)
        for _ in range(50)
        for name, jd, since, position in (
            ("night/a.avro", T0 - 1, 0.0, None),
            ("night/deep/b.avro", T0 - 1, 0.0, None),
            ("night/a.avro", T0 - 9, 0.0, Coordinates("ztf", 3, 7)),  # loaded from that file
            ("lsst", T0 - 30, 77.0, Coordinates("parked", 0, 7)),
        )
    ]
    outputs, _ = ingest(wide, *records)
    assert {(one.source, one.partition, one.jd) for one in said(outputs)} == {
        ("night", 0, T0 - 1),
        ("ztf", 3, T0 - 9),
    }


def test_notices(wide: Topology, make_notice: Callable[..., bytes]) -> None:
    broken = make_notice().replace(b'"skymap": "', b'"skymap": "AAAA')
    assert broken != make_notice()
    values = [make_notice(), b"<no/>", broken]
    records = [SourceRecord(Coordinates("n", 0, i), "notices", v) for i, v in enumerate(values)]
    outputs, accounting = ingest(wide, *records)
    assert [type(one.value) for one in outputs] == [Announcement, DeadLetter, DeadLetter]
    assert [one.value.step for one in outputs if isinstance(one.value, DeadLetter)] == [
        "decode",
        "events",
    ]
    assert accounting.total("received") == 3
    assert (accounting.total("announced"), accounting.total("failed", "notices")) == (1, 2)


def test_what_was_put_right_in_a_notice_is_told_once_for_each(
    wide: Topology, make_notice: Callable[..., bytes]
) -> None:
    document = json.loads(make_notice())
    document["event"]["properties"] = {"HasNS": 0.9, "note": "high"}
    with fits.open(io.BytesIO(base64.b64decode(document["event"]["skymap"]))) as hdus:
        hdus[1].data["PROBDENSITY"] *= 2
        out = io.BytesIO()
        hdus.writeto(out)
    document["event"]["skymap"] = base64.b64encode(out.getvalue()).decode()
    values = [json.dumps(document).encode(), make_notice()]
    records = [SourceRecord(Coordinates("n", 0, i), "notices", v) for i, v in enumerate(values)]
    outputs, accounting = ingest(wide, *records)
    assert [type(one.value) for one in outputs] == [Announcement, Announcement]
    assert dict(accounting.by("remarks")) == {
        "SIM230225a: its probabilities sum to 2 and not to 1: they were divided by that": 1,
        "SIM230225a: left out of properties, as no number: note (a text)": 1,
    }
    assert accounting.example("remarks") == (
        "SIM230225a: left out of properties, as no number: note (a text)"
    )
    first, second = (one.value for one in outputs)
    assert isinstance(first, Announcement)
    assert isinstance(second, Announcement)
    assert first.revision.properties == {"HasNS": 0.9}
    levels = [SkyMap.from_bytes(one.skymap).level for one in (first, second)]
    assert np.allclose(levels[0], levels[1], rtol=1e-9)


def test_what_could_not_be_read_makes_no_second_dead_letter(wide: Topology) -> None:
    accounting = Accounting()
    where = Coordinates("night/broken.avro", 0, 1)
    record = SourceRecord(where, "alerts", b"xyz", fault="it ends too early")
    new = Ingest(wide, accounting.tally(), lambda: 0.0)
    assert [one.stream for one in new.process([record])] == ["dead-letters"]
    again = Ingest(
        *(wide, accounting.backfill_tally(), lambda: 0.0),
        backfill=True,
        given_up={where}.__contains__,
    )
    assert again.process([record]) == []
    new.committed()
    again.committed()
    assert accounting.total("dead_letters") == 1
    assert accounting.total("refiltered") == 1
    assert accounting.total("unjudged") == 0


class Away:
    """A registry without any schema."""

    def known(self, _schema_id: int) -> None:
        return None


@pytest.mark.parametrize(
    ("value", "fault", "error"),
    [
        (b"\x00\x00\x00\x00\x07x", "", "UnknownSchema"),
        (b"no packet", "", "DecodeError"),
        (b"", "[Errno 5] Input/output error", "SourceError"),
    ],
)
def test_what_a_backfill_cannot_judge_is_a_dead_letter_of_its_own(
    wide: Topology, value: bytes, fault: str, error: str
) -> None:
    """It may have been whole when it was new, and then it goes from its object at the end."""
    accounting = Accounting()
    record = SourceRecord(Coordinates("alerts", 0, 3), "alerts", value, fault=fault)
    again = Ingest(*(wide, accounting.backfill_tally(), lambda: 0.0), schemas=Away(), backfill=True)
    [output] = again.process([record])
    assert isinstance(output.value, DeadLetter)
    assert (output.value.step, output.value.error) == ("backfill", error)
    assert output.value.reason.startswith("could not be judged anew by changed filters (")
    again.committed()
    assert accounting.counts() == {
        ("refiltered",): 1,
        ("unjudged",): 1,
        ("dead_letters", "alerts", "backfill", error): 1,
    }
