"""What a process says of itself: in a line, in a file, and whether all is well."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ampelstream.errors import StateError
from ampelstream.model.times import jd_from_iso, unix_from_jd
from ampelstream.runtime.embedded.letterfile import LetterKind
from ampelstream.runtime.embedded.runstatus import (
    Counts,
    RunStatus,
    faults,
    read_status,
    status_line,
    status_row,
)
from ampelstream.sources import Skipped

NOW = unix_from_jd(jd_from_iso("2026-03-01T12:00:00"))
FULL = Counts(
    alerts=1000,
    notices=12,
    failed=3,
    passed=40,
    rejected={"min_drb": 900, "isdiffpos": 57},
    accepted=39,
    candidates=7,
    sent=2,
    dead_letters=3,
)
ODD = (Skipped("a.avro.zst", "its name is odd"), Skipped("b.json", "so is this"))
NEW = Counts(alerts=10, passed=4, rejected={"min_drb": 6}, accepted=4, candidates=1)


def status(**changes: Any) -> RunStatus:
    plain = RunStatus(
        topology="simple",
        version="1",
        hash="abc",
        pid=4242,
        started=NOW - 7200,
        heartbeat=NOW,
        once=False,
        total=FULL,
        new=NEW,
        since=NOW - 60,
        events=5,
        rules=1,
        event_time_jd=jd_from_iso("2026-03-01T11:58:30"),
        waiting={"files": 0},
    )
    return msgspec.structs.replace(plain, **changes)


def test_the_whole_line() -> None:
    kinds = (LetterKind("decode", "DecodeError", 3, "odd"),)
    new = msgspec.structs.replace(NEW, dead_letters=1, notices=2)
    one = status(kinds=kinds, new=new, waiting={"files": 2, "records": 31})
    assert status_line(one) == (
        "2026-03-01T12:00:00Z simple: 1000 alerts (+10) and 12 notices (+2) in; 40 passed (+4); "
        "7 revisions of candidates (+1); 2 reactions sent (+0), 0 unsent; 3 dead letters (+1), in "
        "all 3 decode DecodeError; event time 2026-03-01T11:58:30.000Z, 90 s behind the clock; "
        "2 files and 31 records waiting"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"total": Counts(), "new": Counts(), "event_time_jd": None},
            "0 alerts (+0) and 0 notices (+0) in: nothing has come yet; 0 passed (+0); 0 revisions",
        ),
        (
            {"total": Counts(), "new": Counts(), "skipped": 2, "first_skipped": ODD},
            "in: nothing that can be read has come yet; 2 files or archive members cannot be read",
        ),
        (
            {"skipped": 2, "first_skipped": ODD},
            "(+0) in; 2 files or archive members cannot be read, such as a.avro.zst, which `",
        ),
        (
            {"total": Counts(notices=2), "new": Counts()},
            "0 alerts (+0) and 2 notices (+0) in: no alert has come yet; ",
        ),
        # before the first look, or while there is something, it is not that nothing has come
        (
            {"total": Counts(), "new": Counts(), "waiting": {}, "sweeps": 2},
            "in: nothing has been handled yet; ",
        ),
        (
            {"total": Counts(), "new": Counts(), "waiting": {}, "sweeps": 2},
            "; 2 sweeps of events and an unknown number of files or records waiting",
        ),
        (
            {"total": Counts(), "new": Counts(), "waiting": {"files": 655}},
            "in: nothing has been handled yet; ",
        ),
        (
            {"total": Counts(alerts=9, refused=4), "new": Counts(refused=1), "refused": "a[0]@1"},
            "; 4 alerts (+1) younger than the clock, such as a[0]@1, did not move event time; ",
        ),
        (
            {"total": Counts(alerts=9, refused=4), "new": Counts()},
            "; 4 alerts (+0) younger than the clock did not move event time; ",
        ),
        (
            {"total": Counts(remarks=2), "new": Counts(remarks=1), "remarked": "S1: odd"},
            "; 2 remarks (+1) on notices, such as 'S1: odd'; ",
        ),
        ({"total": Counts(remarks=2), "new": Counts()}, "; 2 remarks (+0) on notices; "),
        (
            {"new": Counts(refiltered=500, backfilled=7)},
            "; 500 earlier alerts read again, 7 of them accepted; ",
        ),
        (
            {"event_time_jd": None},
            "; event time not known: no alert since the start; nothing waiting",
        ),
        (
            {"new": Counts(alerts=812, rejected={"min_drb": 790, "survey": 22})},
            "; 40 passed (+0): all 812 rejected, 790 by min_drb, 22 by survey; ",
        ),
        (
            {"new": Counts(alerts=12, failed=2, rejected={"a": 4, "b": 3, "c": 2, "d": 1})},
            "(+0): 10 rejected, 4 by a, 3 by b, 2 by c, 1 for other reasons and 2 could not be",
        ),
        # nothing is new, and the question is why there never was any
        (
            {"new": Counts(), "total": Counts(alerts=9, rejected={"survey": 9})},
            "; 0 passed (+0): all 9 rejected, 9 by survey; 0 revisions of candidates (+0); ",
        ),
        (
            {"new": Counts(alerts=5, passed=5)},
            "; 7 revisions of candidates (+0): the alerts that passed were all known; ",
        ),
        (
            {"new": Counts(alerts=5, passed=5, accepted=5), "events": 0},
            "(+0): no event is known; ",
        ),
        (
            {"new": Counts(alerts=5, passed=5, accepted=5)},
            "(+0): no object fits one of the 5 events known: region, window and match filters; ",
        ),
        (
            {"new": Counts(alerts=5, passed=5, failed_later=5)},
            "(+0): 5 of the alerts that passed could not be handled; ",
        ),
        (
            {"new": Counts(alerts=5, passed=5, accepted=5), "rejected_events": 5},
            "): the topology follows none of the 5 events known: see its events.where and events.",
        ),
        (
            {"new": Counts(alerts=5, passed=5, accepted=5), "unplaced_events": 5},
            "(+0): 5 events have no sky map or trigger time yet; ",
        ),
        (
            {
                "new": Counts(alerts=5, passed=5, accepted=5),
                "rejected_events": 3,
                "unplaced_events": 2,
            },
            "(+0): 2 events have no sky map or trigger time yet, and the topology rejects 3; ",
        ),
        (
            {"new": Counts(alerts=5, passed=5, accepted=5), "rejected_events": 3},
            "(+0): no object fits one of the 2 of 5 events known: region, window and match",
        ),
        (
            {"total": msgspec.structs.replace(FULL, sent=0)},
            "; 0 reactions sent (+0), 0 unsent: no candidate fulfils the condition of a rule; ",
        ),
        ({"rules": 0}, "; no reactions: the topology has no rules; "),
        ({"unsent": 3}, "; 2 reactions sent (+0), 3 unsent: a sink does not take them; "),
        (
            {"waiting": {"records": None, "files": 3}},
            "; 3 files and an unknown number of records waiting",
        ),
        ({"waiting": {"files": 3}, "sweeps": 2}, "; 3 files and 2 sweeps of events waiting"),
        ({"new": Counts(alerts=1, rejected={"bad\x1b[2J\nreason": 1})}, r"bad\x1b[2J\x0areason"),
    ],
)
def test_a_zero_says_why(changes: dict[str, Any], words: str) -> None:
    line = status_line(status(**changes))
    assert words in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("changes", "running", "words"),
    [
        ({}, True, []),
        ({"heartbeat": NOW - 119}, True, []),
        ({"heartbeat": NOW - 121}, True, ["its last heartbeat was 2.0 min ago, more than 2.0 min"]),
        ({"heartbeat": NOW - 3}, False, ["process 4242 is gone without a word, 3 s after"]),
        (
            {"heartbeat": NOW - 300, "ended": NOW - 300, "error": "no broker answers"},
            False,
            ["the process ended 5.0 min ago: no broker answers"],
        ),
        ({"ended": NOW}, False, ["the process was stopped 0 s ago; start it again"]),
        ({"ended": NOW, "once": True}, False, []),
        (
            {"heartbeat": NOW - 9000, "ended": NOW - 9000, "once": True},
            False,
            ["the last run ended 2.5 h ago, more than 2.0 min"],
        ),
        (
            {"ended": NOW, "once": True, "unsent": 2},
            False,
            ["2 reactions are unsent, and no process tries"],
        ),
        ({"unsent": 2}, True, []),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], *, running: bool, words: list[str]) -> None:
    found = list(faults(status(**changes), running=running, now=NOW, max_age=120.0))
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert word in text


def test_the_file_says_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    kinds = (LetterKind("decode", "E", 3, "\x1b"),)
    one = status(kinds=kinds, waiting={"records": None}, skipped=2, first_skipped=ODD)
    one.write(path)
    assert read_status(path) == one
    assert [found.name for found in tmp_path.iterdir()] == ["status.json"]


def test_a_file_that_cannot_be_understood_is_said(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    with pytest.raises(StateError, match=r"status\.json cannot be read: No such file"):
        read_status(path)
    for content in ("{}", "no JSON", '{"topology": 1}', "\xff"):
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(StateError, match="is not what this version writes") as caught:
            read_status(path)
        for theirs in ("Object", "JSON", "Expected", "codec"):
            assert theirs not in str(caught.value)


def test_the_row_has_what_the_line_has() -> None:
    row = status_row(status(), running=True, now=NOW + 2.5)
    assert msgspec.json.decode(msgspec.json.encode(row)) == row
    assert (row["topology"], row["version"], row["hash"]) == ("simple", "1", "abc")
    assert (row["heartbeat"], row["heartbeat_age_seconds"]) == ("2026-03-01T12:00:00Z", 2.5)
    assert (row["alerts"], row["rejected"]["min_drb"], row["new"]["alerts"]) == (1000, 900, 10)
    assert (row["event_time"], row["event_time_behind_seconds"]) == (
        "2026-03-01T11:58:30.000Z",
        92.5,
    )


def test_the_row_says_what_nobody_reads_and_what_nobody_knows() -> None:
    row = status_row(status(skipped=2, first_skipped=ODD, waiting={}), running=True, now=NOW)
    first = {"name": "a.avro.zst", "reason": "its name is odd"}
    assert (row["skipped"]["count"], row["skipped"]["first"][0]) == (2, first)
    assert row["waiting"] is None
    assert msgspec.json.decode(msgspec.json.encode(row)) == row


def test_counts_since() -> None:
    later = msgspec.structs.replace(FULL, alerts=1010, rejected={"min_drb": 905, "isdiffpos": 57})
    assert later.since(FULL) == Counts(alerts=10, rejected={"min_drb": 5})
