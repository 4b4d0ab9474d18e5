"""From records to candidates: how many there were at each step, and why the others stopped."""

from collections.abc import Mapping
from typing import Any

from ampelstream.report.markup import Markup, element, join
from ampelstream.report.results import key_values

__all__ = ["draw_flow"]

_MOST_REASONS = 25


def draw_flow(summary: Mapping[str, Any]) -> Markup:
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
        *(_channel(name, content) for name, content in channels.items()),
        element("section", element("h3", "Reactions"), key_values(reactions))
        if reactions
        else None,
        id="flow",
    )


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


def _stages(name: str, stages: list[tuple[str, int, str]]) -> Markup:
    items = [
        element(
            "li",
            element("strong", f"{count:,}"),
            " ",
            element("span", words),
            class_=(kind if kind != "dead" or count else "side") or None,
        )
        for words, count, kind in stages
    ]
    return element("div", element("h3", name), element("ol", join(items)), class_="stages")


def _dead_letters(count: int) -> Markup | None:
    if not count:
        return None
    words = (
        f"{count:,} records could not be handled. They are kept whole, with the reason: "
        "ampelstream dead-letters list"
    )
    return element("p", words, class_="notice")


def _channel(name: str, content: Any) -> Markup:
    channel = content if isinstance(content, Mapping) else {}
    rejected = {
        str(reason): count
        for reason, count in _mapping(channel, "rejected").items()
        if isinstance(count, int)
    }
    bars = [("accepted", _count(channel, "accepted"), "bar good")]
    ordered = sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0]))
    bars.extend((f"rejected: {reason}", count, "bar") for reason, count in ordered[:_MOST_REASONS])
    rest = ordered[_MOST_REASONS:]
    if rest:
        words = f"rejected: {len(rest)} other reasons"
        bars.append((words, sum(count for _, count in rest), "bar"))
    return element(
        "section",
        element("h3", f"Channel {name}"),
        _chart(bars),
        _statuses(_mapping(channel, "candidates")),
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
