"""The plain table of a circular."""

from collections.abc import Callable
from typing import Any

from ampelstream.model.candidate import Candidate, CandidateStatus, UnitResult
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.circulartable import circular_table
from ampelstream.runtime.outputs import candidate_row


def test_a_table_as_a_circular_has_it(
    make_candidate: Callable[..., Candidate],
    make_result: Callable[..., UnitResult],
    detection: Callable[..., Datapoint],
    limit: Callable[..., Datapoint],
) -> None:
    def row(name: str, level: float | None, **more: Any) -> dict[str, Any]:
        results = () if level is None else (make_result("Place", {"cumprob": level}),)
        return candidate_row(make_candidate(name, results=results, **more))

    points = (
        limit(-2.0, 20.4),
        detection(0.5, 17.0, positive=False),
        detection(0.6, 18.2),
        detection(1.6, 19.14, 2),
        limit(1.9, 20.4),
    )
    rows = [
        row("ZTF2", 0.95, lightcurve=points),
        row("ZTF1", 0.124, lightcurve=points),
        row("ZTF3", None, lightcurve=(), ra=None, dec=None),
        row("gone", 0.5, status=CandidateStatus.OUTSIDE),
        row("other", 0.5, event_id="S9"),
    ]
    lines = circular_table(rows, event_id="S240114aj")
    cells = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    assert cells[0] == [
        "Event", "Name", "RA [deg]", "Dec [deg]", "First", "Last", "Level", "In 90 %",
    ]  # fmt: skip
    assert cells[2:] == [
        ["S240114aj", "ZTF3", "-", "-", "-", "-", "-", "-"],
        ["S240114aj", "ZTF1", "197.45000", "-23.38000",
         "18.20 g (+0.60 d)", "19.14 r (+1.60 d)", "12.4 %", "yes"],
        ["S240114aj", "ZTF2", "197.45000", "-23.38000",
         "18.20 g (+0.60 d)", "19.14 r (+1.60 d)", "95.0 %", "no"],
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    assert len(circular_table(rows)) == 2 + 4
    assert len(circular_table(rows, others=True)) == 2 + 5
    assert circular_table(rows, event_id="S0") == []
