"""The report as one HTML file that needs nothing else.

The page begins with the counts of ``summary.json``, from records to candidates: how many there were
at each step, and why the others stopped. Then come the events (`ampelstream.report.eventsection`).
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ampelstream.model.display import counted
from ampelstream.report.content import ReplayReport, StampsOf
from ampelstream.report.eventsection import draw_event, draw_overview
from ampelstream.report.markup import Markup, element, join, key_values, text
from ampelstream.report.unitsection import draw_units
from ampelstream.report.views import EventView, arrange, with_stamps

__all__ = ["render"]

_NOTES = (
    (
        "Credible level: the probability in the smallest region of the sky map that holds the "
        "position, that of the position's own pixel included; small is good."
    ),
    "Times are UTC. Magnitudes are AB, of the difference image.",
    "Positions are ICRS; that of a candidate is the mean of its detections.",
    "False alarm rates are per Julian year (365.25 d).",
    "The same records and the same topology give this file again, byte for byte.",
)


def render(
    report: ReplayReport, *, cards: int = 25, rows: int = 500, stamps: StampsOf | None = None
) -> str:
    """Write the report.

    Parameters
    ----------
    report
        What to show.
    cards
        Candidates with a card and a number on the map, per event and channel.
    rows
        Candidates listed in a table, per event and channel.
    stamps
        Finds the cutouts of candidates; None for a report without.

    Returns
    -------
    str
        A whole HTML document; the same report gives the same document.
    """
    style, script = _resource("style.css"), _resource("script.js")
    views = arrange(report)
    if stamps is not None:
        views = with_stamps(views, stamps, cards)
    title = f"{report.topology_name}: replay report"
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
            element("title", title),
            element("style", style),
        ),
        element(
            "body",
            element("a", "Skip to the report", href="#top", class_="skip"),
            _contents(views),
            element(
                "main",
                _banner() if report.simulated else None,
                _head(report),
                _flow(report.summary),
                draw_overview(views),
                *(
                    draw_event(view, cards=cards, rows=rows, simulated=report.simulated)
                    for view in views
                ),
                _notes(),
                id="top",
            ),
            element("script", script),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _resource(name: str) -> Markup:
    """Read a file of this package that goes into the page as it is."""
    return Markup(files("ampelstream.report").joinpath(name).read_text(encoding="utf-8"))


def _policy(script: str) -> str:
    """Allow nothing from outside, and of scripts only the report's own.

    Should escaping ever fail, the browser still runs nothing that came in with an alert.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _banner() -> Markup:
    return element(
        "p",
        element("strong", "Simulated data"),
        " ",
        "Some or all of the records were made up. Do not follow up anything in this report.",
        class_="simulated",
        role="note",
    )


def _head(report: ReplayReport) -> Markup:
    return element(
        "header",
        element("p", "Replay report", class_="kicker"),
        element("h1", report.topology_name),
        element("p", report.description) if report.description else None,
        element(
            "p",
            f"Topology version {report.topology_version}, content ",
            element("code", report.topology_hash),
            class_="muted",
        ),
    )


def _contents(views: Sequence[EventView]) -> Markup:
    """Links to all sections; events with their number of candidates."""
    links = [
        element("li", element("a", "Overview", href="#top")),
        element("li", element("a", "What came in", href="#flow")),
        element("li", element("a", "Events", href="#events")),
    ]
    events = [
        element(
            "li",
            element(
                "a",
                view.title,
                element("span", str(len(view.active)), class_="count") if view.active else None,
                href=f"#{view.anchor}",
                class_="retracted" if view.event.retracted else None,
            ),
        )
        for view in views
    ]
    return element(
        "nav",
        element("ul", join([*links, *events])),
        aria_label="Contents",
    )


def _notes() -> Markup:
    return element(
        "footer",
        element("h2", "Notes"),
        element("ul", join([element("li", text(note)) for note in _NOTES])),
    )


_MOST_REASONS = 25


def _flow(summary: Mapping[str, Any]) -> Markup:
    """Draw the counts of ``summary.json``.

    Parameters
    ----------
    summary
        Its content; what it lacks is left out.
    """
    alerts, notices = _mapping(summary, "alerts"), _mapping(summary, "notices")
    channels = _mapping(summary, "channels")
    letters = _count(alerts, "dead_letters") + _count(notices, "dead_letters")
    reactions = _mapping(summary, "reactions")
    return element(
        "section",
        element("h2", "What came in, and what became of it"),
        _stages("Alerts", _alert_stages(alerts, channels)),
        _stages("Notices", _notice_stages(notices)),
        _dead_letters(letters),
        _why_no_event(summary),
        *(_channel(name, content) for name, content in channels.items()),
        draw_units(summary.get("units")),
        element("section", element("h3", "Reactions"), key_values(reactions))
        if reactions
        else None,
        id="flow",
    )


def _why_no_event(summary: Mapping[str, Any]) -> Markup | None:
    why = summary.get("events_not_selected")
    return element("p", f"Events: {why}", class_="notice") if why else None


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def _count(content: Mapping[str, Any], key: str) -> int:
    value = content.get(key)
    return value if isinstance(value, int) else 0


def _alert_stages(
    alerts: Mapping[str, Any], channels: Mapping[str, Any]
) -> list[tuple[str, int, str]]:
    active = sum(
        _count(_mapping(content, "candidates"), "active")
        for content in channels.values()
        if isinstance(content, Mapping)
    )
    return [
        ("records read", _count(alerts, "records_in"), ""),
        ("decoded", _count(alerts, "decoded"), ""),
        ("seen before", _count(alerts, "duplicates"), "side"),
        ("accepted", _count(alerts, "accepted"), ""),
        ("active candidates", active, "goal"),
        ("dead letters", _count(alerts, "dead_letters"), "dead"),
    ]


def _notice_stages(notices: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    return [
        ("records read", _count(notices, "records_in"), ""),
        ("decoded", _count(notices, "decoded"), ""),
        ("seen before", _count(notices, "duplicates"), "side"),
        ("dead letters", _count(notices, "dead_letters"), "dead"),
    ]


_ONE = {
    "records read": "record read",
    "active candidates": "active candidate",
    "dead letters": "dead letter",
}
"""What a stage is called where there is one."""


def _stages(name: str, stages: list[tuple[str, int, str]]) -> Markup:
    items = [
        element(
            "li",
            element("strong", f"{count:,}"),
            " ",
            element("span", _ONE.get(words, words) if count == 1 else words),
            class_=(kind if kind != "dead" or count else "side") or None,
        )
        for words, count, kind in stages
    ]
    return element("div", element("h3", name), element("ol", join(items)), class_="stages")


def _dead_letters(count: int) -> Markup | None:
    if not count:
        return None
    words = (
        f"{counted(count, 'record')} could not be handled. dead-letters.ndjson names each, with "
        "the reason"
    )
    return element("p", words, class_="notice")


def _channel(name: str, content: Any) -> Markup:
    channel = content if isinstance(content, Mapping) else {}
    rejected = {
        str(reason): count
        for reason, count in _mapping(channel, "rejected").items()
        if isinstance(count, int)
    }
    why = channel.get("why_none")
    failed = _count(channel, "failed")
    bars = [("accepted", _count(channel, "accepted"), "bar good")]
    ordered = sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0]))
    bars.extend((f"rejected: {reason}", count, "bar") for reason, count in ordered[:_MOST_REASONS])
    if failed:
        bars.append(("a filter failed", failed, "bar"))
    rest = ordered[_MOST_REASONS:]
    if rest:
        words = f"rejected: {counted(len(rest), 'other reason')}"
        bars.append((words, sum(count for _, count in rest), "bar"))
    return element(
        "section",
        element("h3", f"Channel {name}"),
        _chart(bars),
        _statuses(_mapping(channel, "candidates")),
        element("p", f"No candidate: {why}.", class_="notice") if why else None,
        class_="channel",
    )


def _chart(bars: list[tuple[str, int, str]]) -> Markup:
    most = max((count for _, count, _ in bars), default=0) or 1
    total = sum(count for _, count, _ in bars) or 1
    rows = [
        element(
            "tr",
            element("th", words, scope="row"),
            element(
                "td",
                element("span", class_=class_, style=f"width:{100 * count / most:.2f}%"),
                class_="bars",
            ),
            element("td", f"{count:,}", class_="num"),
            element("td", f"{100 * count / total:.1f} %", class_="num muted"),
        )
        for words, count, class_ in bars
    ]
    caption = element("caption", "Alerts by the first rule that rejected them")
    return element("table", caption, element("tbody", join(rows)), class_="chart")


def _statuses(counts: Mapping[str, Any]) -> Markup | None:
    words = ", ".join(f"{count:,} {status}" for status, count in counts.items() if _is_count(count))
    return element("p", f"Candidates: {words}") if words else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
