"""What a replay says at its end, in lines for people: the numbers, and of each zero why."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ampelstream.model.display import LINE, counted, printable

__all__ = ["number_lines"]

_SHOWN_EVENTS = 10
_FUTURE_ONE, _FUTURE = "alert says that it is", "alerts say that they are"


def number_lines(
    summary: Mapping[str, Any], time_of: Callable[[str], str] = lambda _unit: ""
) -> list[str]:
    """Lines for inputs, events, channels and units.

    Parameters
    ----------
    summary
        Content of ``summary.json``.
    time_of
        How long a unit took, in words; empty where that is not known.
    """
    return [
        *_inputs(summary),
        *_events(summary),
        *_channels(summary["channels"]),
        *(
            f"catalogue {printable(name, LINE)} is not there, and nothing was found in it: the "
            "warning at the start has the command that makes it"
            for name in summary["absent_catalogs"]
        ),
        *_units(summary["units"], time_of),
    ]


def _inputs(summary: Mapping[str, Any]) -> Iterator[str]:
    alerts, notices = summary["alerts"], summary["notices"]
    rejected = sum(alerts["rejected"].values())
    yield (
        f"alerts: {alerts['records_in']} in, {alerts['decoded']} decoded, "
        f"{alerts['accepted']} accepted, {rejected} rejected, "
        f"{counted(alerts['duplicates'], 'duplicate')}, "
        f"{counted(alerts['dead_letters'], 'dead letter')}"
    )
    yield (
        f"notices: {notices['records_in']} in, {notices['accepted']} new, "
        f"{notices['duplicates']} known, {counted(notices['dead_letters'], 'dead letter')}"
    )
    if summary["records_in"]:
        for name in summary["silent_inputs"]:
            yield f"input {printable(name, LINE)} gave nothing: it is empty, or of no known kind"
    for remark in notices["remarks"]:
        yield f"warning: {printable(remark)}"
    if alerts["watermark_refused"]:
        young = counted(alerts["watermark_refused"], _FUTURE_ONE, _FUTURE)
        yield f"{young} younger than this machine's clock; event time does not follow"
    odd = alerts["odd_magnitudes"]
    if odd.get("none"):
        none = counted(odd["none"], "accepted alert has", "accepted alerts have")
        yield f"{none} no magnitude of their own (NaN, or in the noise)"
    if odd.get("impossible"):
        impossible = counted(odd["impossible"], "accepted alert has", "accepted alerts have")
        yield (
            f"{impossible} a magnitude that nothing in the sky has (such as 1e38 or -999): see "
            "what their survey writes there"
        )


def _events(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary["events_not_selected"]:
        yield f"events: {printable(summary['events_not_selected'], LINE)}"
    last = {row["event"]: row for row in summary["events"] if row["selected"]}
    for name, row in list(last.items())[:_SHOWN_EVENTS]:
        inside = "; ".join(
            f"{printable(channel)} {_inside(counts)}" for channel, counts in row["channels"].items()
        )
        yield f"event {printable(name)}: inside region and window: {inside}"
    if len(last) > _SHOWN_EVENTS:
        yield f"... and {counted(len(last) - _SHOWN_EVENTS, 'event')} more, in summary.json"


def _inside(counts: Mapping[str, Any]) -> str:
    text = (
        f"{counted(counts['alerts_inside'], 'alert')} of "
        f"{counted(counts['objects_inside'], 'object')}"
    )
    rejected = [
        f"{number} rejected by {printable(reason, LINE)}"
        for reason, number in counts["rejected_at_match"].items()
    ]
    return ", ".join([text, *rejected])


def _channels(channels: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in channels.items():
        found = counts["candidates"]
        text = (
            f"channel {printable(name)}: {counted(found['active'], 'candidate')}, "
            f"{found['outside']} left outside, {found['retracted']} retracted"
        )
        why = counts["why_none"]
        yield f"{text}: {printable(why, LINE)}" if why else text


def _units(units: list[Mapping[str, Any]], time_of: Callable[[str], str]) -> Iterator[str]:
    for one in units:
        if not one["runs"] and not one["cached"]:
            continue
        what = "filter" if one["kind"] == "filter" else "unit"
        cached = f", {counted(one['cached'], 'result')} from the cache" if one["cached"] else ""
        text = f"{what} {one['channel']}/{one['unit']}: {counted(one['runs'], 'run')}{cached}"
        if one["failed"]:
            how = "ALL failed" if one["always_fails"] else f"{one['failed']} failed"
            text += f", {how}, most often of {one['reason']}"
        elif one["kind"] == "filter":
            continue
        took = time_of(one["unit"])
        yield printable(f"{text}; {took}" if took else text, LINE)
