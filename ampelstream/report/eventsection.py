"""Events in the page: the table of all of them, and a section for each.

A section says what was announced, where the event lies, and what was found.
"""

from collections.abc import Mapping, Sequence

from ampelstream.model.display import counted
from ampelstream.model.event import EventRevision
from ampelstream.report.candidatecard import draw_card
from ampelstream.report.candidatetable import others_table, ranked_table
from ampelstream.report.content import EventReport, RevisionReport
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import DASH, far_text, jd_text, number, utc_text
from ampelstream.report.skydrawing import draw_sky
from ampelstream.report.views import EventView, Listing, is_test, trigger_jd

__all__ = ["draw_event", "draw_overview"]


def draw_event(view: EventView, *, cards: int, rows: int, simulated: bool) -> Markup:
    """Make the section.

    Parameters
    ----------
    view
        The event.
    cards, rows
        Most candidates with a card, and most in a table, per channel.
    simulated
        Whether data was made up.
    """
    event = view.event
    listings = [
        _listing(listing, len(view.listings), cards=cards, rows=rows, simulated=simulated)
        for listing in view.listings
    ]
    return element(
        "section",
        element(
            "h2",
            view.title,
            element("span", "test", class_="tag bad") if is_test(event) else None,
            element("span", "retracted", class_="tag bad") if event.retracted else None,
        ),
        _header(view) if event.event_id else None,
        draw_sky(view, numbered=cards),
        _history(event),
        *listings,
        None if view.listings else element("p", _why_none(event), class_="muted"),
        id=view.anchor,
        class_="event retracted" if event.retracted else "event",
    )


def _why_none(event: EventReport) -> str:
    """That there is no candidate, and why where the event is not selected."""
    if event.revisions and not any(one.selected for one in event.revisions):
        standing = [one for one in event.revisions if not one.revision.is_retraction]
        why = (standing or event.revisions)[-1].why_not
        return f"No candidate: the topology does not follow this event, {why}."
    return "No candidate."


def distance_text(event: EventReport) -> str:
    """Distance and its standard deviation from the sky map [Mpc]."""
    skymap = event.skymap
    if skymap is None or skymap.distmean is None:
        return DASH
    spread = "" if skymap.diststd is None else f" ± {skymap.diststd:.0f}"
    return f"{skymap.distmean:.0f}{spread} Mpc"


_TEST_WORDS = "a test, an injection or a mock event: nobody saw it"


def area_text(area_deg2: float | None) -> str:
    """Area of a region, without digits that mean nothing."""
    if area_deg2 is None:
        return DASH
    return f"{area_deg2:,.0f} deg²" if area_deg2 >= 100 else f"{number(area_deg2, 3)} deg²"  # noqa: PLR2004  (no decimals from here)


def _header(view: EventView) -> Markup:
    event = view.event
    if not event.revisions:
        return element("p", "Nothing is known of this event's notices.", class_="muted")
    # A retraction says nothing of the source: what was last announced of it is in the one before.
    said = next(
        (one for one in reversed(event.revisions) if not one.revision.is_retraction),
        event.revisions[-1],
    )
    facts = _facts(view, said)
    items = [
        element("div", element("dt", name), element("dd", words)) for name, words in facts.items()
    ]
    return element(
        "div",
        element("dl", join(items), class_="facts-grid"),
        _probabilities("Classification", said.revision.classification),
        # of other kinds they are numbers of all sorts
        _probabilities("Properties, if astrophysical", said.revision.properties)
        if said.revision.kind == "gw"
        else None,
        class_="event-head",
    )


def _facts(view: EventView, said: RevisionReport) -> dict[str, object]:
    event, revision = view.event, said.revision
    who = " / ".join(part for part in (revision.group, revision.pipeline, revision.search) if part)
    counts = ", ".join(
        f"{counted(alerts, 'alert')} of {counted(objects, 'object')} ({channel})"
        for channel, (alerts, objects) in sorted(event.revisions[-1].channels.items())
    )
    facts: dict[str, object] = {"Test": _TEST_WORDS} if revision.test else {}
    facts |= {
        "Alert history": " → ".join(one.revision.alert_type for one in event.revisions),
        "Trigger time": f"{utc_text(trigger_jd(event))} (JD {jd_text(trigger_jd(event))})",
        "False alarm rate": far_text(revision.far),
        **(
            {
                "Search": f"{who or DASH} {_significance(revision)}",
                "Instruments": ", ".join(revision.instruments) or DASH,
                "Distance": distance_text(event),
            }
            if revision.kind == "gw"
            else _seen(revision)
        ),
        "50 % area": area_text(said.area50_deg2),
        "90 % area": area_text(said.area90_deg2),
        "Inside region and window": counts or DASH,
    }
    if revision.external is not None:
        other = revision.external
        words = [str(part) for part in (other.observatory, other.search) if part]
        if other.time_difference is not None:
            words.append(f"{other.time_difference:+.2f} s from the trigger")
        if other.time_sky_position_coincidence_far is not None:
            words.append(f"FAR {far_text(other.time_sky_position_coincidence_far)}")
        facts["Coincidence"] = ", ".join(words) or "reported without details"
    if revision.url is not None and revision.url.startswith("https://"):
        host = revision.url.removeprefix("https://").partition("/")[0]
        facts["Page"] = element(
            "a",
            f"{event.event_id} at {host}",
            href=revision.url,
            rel="noopener noreferrer external",
        )
    return facts


def _seen(revision: EventRevision) -> dict[str, object]:
    """What is told of an event that is no gravitational wave, as far as the notice says."""
    who = " ".join(part for part in (revision.mission, revision.instrument) if part)
    place = None
    if revision.ra is not None and revision.dec is not None:
        place = f"{revision.ra:.5g}, {revision.dec:+.5g} deg"
        if revision.ra_dec_error is not None:
            place += (
                f" ± {revision.ra_dec_error:.3g} deg ({100 * (revision.containment or 0):.0f} %)"
            )
    found = {
        "Kind": revision.kind,
        "Seen by": who or None,
        "Names": ", ".join(revision.ids) or None,
        "Position": place,
        "Signalness": None if revision.signalness is None else f"{100 * revision.signalness:.0f} %",
        "Energy": None if revision.energy is None else f"{revision.energy:.3g} TeV",
        "Duration": revision.duration_class,
        "Follow-up of": revision.follows,
        "Notes": "; ".join(revision.notes) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _significance(revision: EventRevision) -> str:
    if revision.significant is None:
        return ""
    return "(significant)" if revision.significant else "(not significant)"


def _probabilities(name: str, values: Mapping[str, float]) -> Markup | None:
    if not values:
        return None
    rows = [
        element(
            "tr",
            element("th", kind, scope="row"),
            element(
                "td",
                element("span", class_="bar", style=f"width:{_percent(value):.1f}%")
                if value > 0
                else None,
                class_="bars",
            ),
            element("td", _percent_text(value), class_="num"),
        )
        for kind, value in sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return element("table", element("caption", name), element("tbody", join(rows)), class_="chart")


def _percent(value: float) -> float:
    return min(max(100 * value, 0.0), 100.0)


def _percent_text(value: float) -> str:
    if 0 < value < 0.0005:  # noqa: PLR2004  (would round to nothing)
        return "< 0.1 %"
    return f"{100 * value:.1f} %"


_HISTORY_HEADS = (
    "Notice",
    "Made (UTC)",
    "False alarm rate",
    "50 % area",
    "90 % area",
    "Inside",
    "Used",
)


def _history(event: EventReport) -> Markup | None:
    if not event.revisions:
        return None
    rows = [element("tr", join(_revision(one))) for one in event.revisions]
    table = element(
        "table",
        element(
            "thead", element("tr", *(element("th", name, scope="col") for name in _HISTORY_HEADS))
        ),
        element("tbody", join(rows)),
        class_="rows stacking",
    )
    return element(
        "details",
        element("summary", f"Notices: {len(event.revisions)}"),
        element("div", table, class_="scroll", tabindex=0),
    )


def _revision(one: RevisionReport) -> Sequence[Markup]:
    inside = ", ".join(
        f"{channel}: {counted(alerts, 'alert')}, {counted(objects, 'object')}"
        f"{_rejected(one, channel)}"
        for channel, (alerts, objects) in sorted(one.channels.items())
    )
    words = (
        one.revision.alert_type,
        one.revision.time_created or DASH,
        far_text(one.revision.far),
        area_text(one.area50_deg2),
        area_text(one.area90_deg2),
        inside or DASH,
        "yes"
        if one.selected
        else f"not selected: {one.why_not}"
        if one.why_not
        else "not selected",
    )
    return [
        element("td", part, data_label=head)
        for part, head in zip(words, _HISTORY_HEADS, strict=True)
    ]


def _rejected(one: RevisionReport, channel: str) -> str:
    """Objects inside that match filters rejected, by their names and rules."""
    found = sorted(one.rejected.get(channel, {}).items())
    words = ", ".join(f"{number} rejected by {reason}" for reason, number in found)
    return f" ({words})" if words else ""


def _listing(listing: Listing, channels: int, *, cards: int, rows: int, simulated: bool) -> Markup:
    title = f"Candidates of channel {listing.channel}"
    if channels > 1 and listing.letter:
        title += f" (numbers beginning with {listing.letter})"
    shown = listing.active[:cards]
    drawn = [draw_card(row, listing, simulated=simulated) for row in shown]
    rest = len(listing.active) - len(shown)
    others = "the other one is" if rest == 1 else f"the other {rest} are"
    note = f"The best {len(shown)} have a card; {others} in the table only."
    return element(
        "section",
        element("h3", title, element("span", str(len(listing.active)), class_="count")),
        ranked_table(listing, cards=cards, rows=rows)
        if listing.active
        else element("p", "No active candidate.", class_="muted"),
        element("p", note, class_="muted") if rest else None,
        join(drawn),
        others_table(listing, rows=rows),
    )


_HEADS = (
    "Event",
    "Notice",
    "Trigger time",
    "False alarm rate",
    "Most probable",
    "Distance",
    "90 % area",
    "Candidates",
)


def draw_overview(views: Sequence[EventView]) -> Markup:
    """One row per event."""
    views = [view for view in views if view.event.event_id]
    if not views:
        table = element("p", "No event.", class_="muted")
    else:
        head = element("tr", *(element("th", name, scope="col") for name in _HEADS))
        rows = [element("tr", join(_cells(view))) for view in views]
        table = element(
            "div",
            element(
                "table",
                element("thead", head),
                element("tbody", join(rows)),
                class_="rows events stacking",
            ),
            class_="scroll",
            tabindex=0,
        )
    return element("section", element("h2", "Events"), table, id="events")


def _unbroken(words: str) -> str:
    """Keep a number and what stands behind it in one line."""
    for unit in ("%", "Mpc", "deg²", "per", "UTC", "±"):
        words = words.replace(f" {unit}", f"\N{NO-BREAK SPACE}{unit}")
    return words


def _cells(view: EventView) -> list[Markup]:
    event = view.event
    said = [one for one in event.revisions if not one.revision.is_retraction]
    latest = said[-1] if said else None
    kind = event.revisions[-1].revision.alert_type if event.revisions else DASH
    if is_test(event):
        kind += " (test)"
    probable = DASH
    if latest is not None and latest.revision.classification:
        values = latest.revision.classification
        best = max(sorted(values), key=lambda name: values[name])
        probable = f"{best} {100 * values[best]:.0f} %"
    words = (
        kind,
        utc_text(trigger_jd(event)),
        far_text(None if latest is None else latest.revision.far, brief=True),
        probable,
        distance_text(event),
        area_text(None if latest is None else latest.area90_deg2),
    )
    link = element("a", event.event_id, href=f"#{view.anchor}")
    return [
        element("td", link, class_="name"),
        *(
            element("td", _unbroken(part), data_label=head)
            for head, part in zip(_HEADS[1:-1], words, strict=True)
        ),
        element("td", str(len(view.active)), class_="num strong", data_label=_HEADS[-1]),
    ]
