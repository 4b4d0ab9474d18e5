import io
from collections.abc import Callable
from dataclasses import replace

import msgspec
from rich.console import Console

from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.report.candidatetable import candidate_table
from ampelstream.report.content import EventReport, ReplayReport
from ampelstream.report.html import render

Make = Callable[..., Candidate]
MakeEvent = Callable[..., EventReport]
MakeReport = Callable[..., ReplayReport]


def shown(report: ReplayReport, limit: int = 20) -> list[str]:
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    console.print(candidate_table(report, limit))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_best_first_over_all_events(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    report = make_report(
        [make_event("S1"), make_event("S2")],
        [
            make_candidate("a", 3, event_id="S1"),
            make_candidate("b", 9, event_id="S2"),
            make_candidate("c", None, event_id="S1"),
            make_candidate("d", 3, event_id="S2"),
            make_candidate("gone", 20, event_id="S2", status=CandidateStatus.OUTSIDE),
        ],
    )
    lines = shown(report)
    listed = [line for line in lines if line.startswith(("S1", "S2", " S1", " S2"))]
    assert [line.split()[:3] for line in listed] == [
        ["S2", "b", "9"],
        ["S1", "a", "3"],
        ["S2", "d", "3"],
        ["S1", "c", "\N{EN DASH}"],
    ]
    assert "4 of 4 active candidates" in " ".join(lines)
    assert "197.45000" in listed[0]
    assert "19.10 r" in listed[0]
    assert all(len(line.rstrip()) <= 80 for line in listed)


def test_events_that_are_tests_are_marked(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    event = make_event("MS1")
    mock = msgspec.structs.replace(event.revisions[0].revision, test=True)
    event = replace(event, revisions=[replace(event.revisions[0], revision=mock)])
    report = make_report([event, make_event("S2")], [
        make_candidate("a", event_id="MS1"), make_candidate("b", event_id="S2"),
    ])  # fmt: skip
    marked = [line for line in shown(report) if "(test)" in line]
    assert [line.split()[:3] for line in marked] == [["MS1", "(test)", "a"]]
    page = render(report)
    assert '<span class="tag bad">test</span>' in page
    assert page.count("(test)") == 1


def test_limit_channels_and_markup(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    candidates = [make_candidate(f"[bold]{k}", k) for k in range(30)]
    candidates += [make_candidate("x", channel="afterglow")]
    text = "\n".join(shown(make_report([make_event()], candidates, simulated=True), 5))
    assert "6 of 31 active candidates" in text
    # Square brackets in a name are shown, not obeyed.
    assert "[bold]29" in text
    assert "[bold]24" not in text
    assert "afterglow" in text
    assert "Simulated data" in text


def test_hostile_identifiers(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    ids = ["\x1b[31mred", "a\nb\r", "\u202eback\u200b", "[/nothing]", "x" * 1_000_000]
    lines = shown(make_report([make_event()], [make_candidate(one) for one in ids]))
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    for one in (r"\x1b[31mred", r"a\x0ab\x0d", r"\u202eback\u200b", "[/nothing]", "xxx… (+"):
        assert one in text


def test_nothing_found(make_report: MakeReport) -> None:
    assert "0 of 0 active candidates" in " ".join(shown(make_report()))
