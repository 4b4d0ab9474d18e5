import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ampelstream.model.candidate import Candidate, CandidateStatus, UnitResult
from ampelstream.report.content import EventReport, ReplayReport, ReportMap, Stamp
from ampelstream.report.html import render

Make = Callable[..., Candidate]
MakeMap = Callable[..., ReportMap]
MakeEvent = Callable[..., EventReport]
MakeReport = Callable[..., ReplayReport]
MakeResult = Callable[..., UnitResult]

T0 = 2460324.45798
ATTACK = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """Checks the nesting of elements and collects what links where."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs)
        self.tags.append((tag, given))
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag not in {"meta", "br", "hr", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words += data + " "


@pytest.fixture
def report(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make, make_map: MakeMap
) -> ReplayReport:
    events = [
        make_event(skymap=make_map()),
        make_event("S240115f"),
        make_event("S240112e", retracted=True, skymap=make_map(40.0, 20.0)),
    ]
    candidates = [
        make_candidate("ZTF24aaaaaaa", 9),
        make_candidate("ZTF24aaaaaab", 12, ra=199.0),
        make_candidate("ZTF24aaaaaac", None),
        make_candidate("ZTF24aaaaaad", results=(), status=CandidateStatus.OUTSIDE),
        make_candidate(
            "ZTF24aaaaaae", event_id="S240112e", results=(), status=CandidateStatus.RETRACTED
        ),
    ]
    return make_report(events, candidates)


def test_the_same_report_gives_the_same_bytes(report: ReplayReport) -> None:
    assert render(report) == render(report)


def test_the_order_of_the_input_does_not_matter(
    report: ReplayReport, make_report: MakeReport
) -> None:
    turned = make_report(report.events[::-1], report.candidates[::-1])
    assert render(turned) == render(report)


def test_well_formed_and_every_anchor_is_there(report: ReplayReport) -> None:
    page = Page(render(report))
    assert len(page.ids) == len(set(page.ids))
    inner = [link[1:] for link in page.links if link.startswith("#")]
    assert inner
    assert set(inner) <= set(page.ids)


def test_nothing_is_loaded_from_outside(report: ReplayReport) -> None:
    page = Page(render(report))
    for tag, given in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert str(given.get("src", "data:")).startswith("data:")
        assert not any(name.startswith("on") for name in given)
        if tag != "a":
            assert str(given.get("href", "data:")).startswith("data:")
        for value in given.values():
            assert "url(" not in str(value)
    assert "@import" not in render(report)
    assert "url(" not in render(report)


def test_images_are_in_the_page_itself(report: ReplayReport) -> None:
    stamp = Stamp("Science", b"\x89PNG", "Alert 17")
    asked: list[str] = []

    def stamps(candidates: Sequence[Candidate]) -> dict[tuple[str, str, str], tuple[Stamp, ...]]:
        asked.extend(one.object_id for one in candidates)
        return {candidates[0].key: (stamp,)}

    page = Page(render(report, stamps=stamps))
    assert asked == ["ZTF24aaaaaab", "ZTF24aaaaaaa", "ZTF24aaaaaac"]  # of those with a card
    images = [given for tag, given in page.tags if tag == "img"]
    assert [one["alt"] for one in images] == ["Science image of ZTF24aaaaaab"]
    assert str(images[0]["src"]).startswith("data:image/png;base64,")
    assert "Alert 17" in page.words


def test_one_of_a_kind_is_said_in_the_singular(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make, make_map: MakeMap
) -> None:
    summary = {"alerts": {"records_in": 1, "dead_letters": 1}, "notices": {"records_in": 1}}
    event = make_event(skymap=make_map())
    one = event.revisions[0]
    inside = replace(one, channels={"kilonova": (1, 1)})
    report = make_report([replace(event, revisions=[inside])], [make_candidate()], summary=summary)
    words = Page(render(report)).words
    assert "1 alert of 1 object (kilonova)" in words
    assert "kilonova: 1 alert, 1 object" in words
    assert "1 record could not be handled" in words
    assert "1 of 1 candidate" in words
    assert not re.findall(
        r"\b1 +(?:alerts|objects|records|candidates|letters|limits|points)", words
    )


def test_contents(report: ReplayReport) -> None:
    words = Page(render(report)).words
    for part in (
        "gw-kilonova",
        "deadbeef",
        "S240114aj",
        "2024-01-14 22:59:29.5 UTC",
        "CBC / gstlal / AllSky (significant)",
        "40 ± 8 Mpc",
        "30.8 deg²",
        "4 alerts of 3 objects (kilonova)",
        "PRELIMINARY → RETRACTION",
        "rejected: drb",
        "13:09:48.00 -23:22:48.0",
        "no detection",
        "2570000000000000001",
        "night.parquet[0]@17",
        "No longer candidates: 1",
        "2 records could not be handled",
        "Simulated",
    ):
        assert (part in words) is (part != "Simulated"), part


def test_best_candidates_come_first(report: ReplayReport) -> None:
    page = render(report)
    table = page.partition('class="sortable ranked stacking"')[2].partition("</table>")[0]
    assert re.findall(r'<a href="#(e1-c\d)">(\w+)</a>', table) == [
        ("e1-c1", "ZTF24aaaaaab"),
        ("e1-c2", "ZTF24aaaaaaa"),
        ("e1-c3", "ZTF24aaaaaac"),
    ]


def test_exact_values_are_there_to_sort_by(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    candidate = make_candidate(ra=np.float64(197.123456789), t0_jd=np.float64(T0))
    page = render(make_report([make_event()], [candidate]))
    table = page.partition('class="sortable ranked stacking"')[2].partition("</table>")[0]
    exact = re.findall(r'data-s="([^"]*)"', table)
    assert exact[:4] == ["1", "9.0", "197.123456789", "197.123456789"]
    # Without a sky map there is no credible level.
    assert exact.pop(6) == ""
    assert [float(one) for one in exact[4:]] == pytest.approx([0.6, 19.1, 0.0098, 41.3])


def test_simulated_data_is_said_to_be_and_leads_nowhere(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make
) -> None:
    real = render(make_report([make_event()], [make_candidate()]))
    simulated = render(make_report([make_event()], [make_candidate()], simulated=True))
    assert "https://alerce.online/object/ZTF24aaaaaaa" in Page(real).links
    assert not [link for link in Page(simulated).links if not link.startswith("#")]
    assert '<p class="simulated" role="note"><strong>Simulated data</strong>' in simulated
    assert "Simulated data" not in real


def test_what_comes_from_outside_cannot_run(
    make_event: MakeEvent,
    make_report: MakeReport,
    make_candidate: Make,
    make_result: MakeResult,
    make_map: MakeMap,
) -> None:
    body = {ATTACK: ATTACK, "why": [{"part": ATTACK, "points": 1, "text": ATTACK}]}
    candidate = make_candidate(
        ATTACK,
        channel=ATTACK,
        event_id=ATTACK,
        results=(make_result(ATTACK, body), make_result("B", None, error=ATTACK)),
    )
    gone = make_candidate(ATTACK + "2", event_id=ATTACK, status=CandidateStatus.OUTSIDE)
    summary = {"channels": {ATTACK: {"rejected": {ATTACK: 3}}}, "reactions": {ATTACK: ATTACK}}
    page = render(
        make_report(
            [make_event(ATTACK, skymap=make_map())],
            [candidate, gone],
            topology_name=ATTACK,
            topology_version=ATTACK,
            topology_hash=ATTACK,
            description=ATTACK,
            summary=summary,
            ranking={ATTACK: (ATTACK, False)},
        )
    )
    parsed = Page(page)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in parsed.tags]
    assert "onerror" not in {name for _, given in parsed.tags for name in given}
    assert ATTACK in parsed.words


def test_only_a_secure_address_becomes_a_link(
    make_event: MakeEvent, make_report: MakeReport
) -> None:
    import msgspec  # noqa: PLC0415  (only here)

    for url, expected in (("javascript:alert(1)", 0), ("https://gracedb.ligo.org/x", 1)):
        event = make_event()
        one = event.revisions[0]
        revision = msgspec.structs.replace(one.revision, url=url)
        changed = type(one)(revision, one.area50_deg2, one.area90_deg2, one.channels, one.selected)
        page = Page(render(make_report([type(event)("S1", [changed], None, retracted=False)])))
        assert len([link for link in page.links if not link.startswith("#")]) == expected


def test_many_candidates_are_cut_and_counted(
    make_event: MakeEvent, make_report: MakeReport, make_candidate: Make, make_map: MakeMap
) -> None:
    candidates = [make_candidate(f"ZTF24a{k:06d}", k % 20, ra=190 + k % 13) for k in range(60)]
    page = render(make_report([make_event(skymap=make_map())], candidates), cards=4, rows=40)
    assert page.count('class="card"') == 4
    table = page.partition('class="sortable ranked stacking"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + 40
    assert "20 more candidates of this event and channel are in candidates.ndjson" in page
    assert "The best 4 have a card; the other 56 are in the table only" in page
    Page(page)


def test_an_empty_report_is_a_page(make_report: MakeReport) -> None:
    page = Page(render(make_report(summary={})))
    assert "No event." in page.words


def test_script_is_the_one_that_the_policy_allows(report: ReplayReport) -> None:
    import base64  # noqa: PLC0415  (only here)
    import hashlib  # noqa: PLC0415  (only here)

    page = render(report)
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert f"sha256-{digest}" in policy[1].replace("&#x27;", "'")
    assert policy[1].startswith("default-src &#x27;none&#x27;")
