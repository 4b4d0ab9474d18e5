"""A card for each of the best candidates: light curve, score and why, results, provenance."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.times import iso_from_jd
from ampelstream.report.lightcurveplot import draw_lightcurve
from ampelstream.report.markup import Markup, element, join, key_values, value_cell
from ampelstream.report.quantities import DASH, is_number, number, sexagesimal
from ampelstream.report.views import (
    Listing,
    Row,
    counts_text,
    level_text,
    position_text,
    redshift_text,
    score_text,
    strays_text,
)

__all__ = ["EXPLAINED", "draw_card", "draw_why", "has_why"]

_ZTF_NAME = re.compile(r"ZTF\d{2}[a-z]{7}")
_PORTALS = (
    ("ALeRCE", "https://alerce.online/object/"),
    ("Fink", "https://ztf.fink-portal.org/"),
    ("Lasair", "https://lasair-ztf.lsst.ac.uk/objects/"),
)
_MOST_RECORDS = 60


def draw_card(row: Row, listing: Listing, *, simulated: bool) -> Markup:
    """Make the card.

    Parameters
    ----------
    row
        The candidate.
    listing
        Where it is listed.
    simulated
        Whether data was made up; then nothing leads to the portals of real objects.
    """
    candidate = row.candidate
    title = f"{row.label} {candidate.object_id}"
    curve = draw_lightcurve(
        candidate.lightcurve, candidate.t0_jd, f"Light curve of {candidate.object_id}"
    )
    return element(
        "article",
        element(
            "h4",
            element("span", row.label, class_="badge"),
            " ",
            candidate.object_id,
            element("span", _score(row, listing), class_="score"),
        ),
        _facts(row, simulated=simulated),
        _errors(candidate),
        element(
            "div",
            element("figure", curve),
            draw_why(candidate) or element("p", "No unit explains a score.", class_="muted"),
            class_="pair",
        ),
        _results(candidate),
        _provenance(candidate),
        id=row.anchor,
        class_="card",
        aria_label=title,
    )


def _score(row: Row, listing: Listing) -> str:
    if row.score is None:
        return "no score"
    name = listing.score_path.split(".")[-1] if listing.score_path else "rank"
    return f"{name} {score_text(row)}"


def _facts(row: Row, *, simulated: bool) -> Markup:
    candidate, facts = row.candidate, row.facts
    words = [position_text(candidate)]
    if candidate.ra is not None and candidate.dec is not None:
        words.append(" ".join(sexagesimal(candidate.ra, candidate.dec)) + " (ICRS)")
    if candidate.event_id:
        words.append(f"credible level {level_text(facts)}")
    if facts.redshift is not None:
        words.append(f"z = {redshift_text(facts)}")
    if facts.distance_mpc is not None:
        words.append(f"{number(facts.distance_mpc, 3)} Mpc")
    words.append(counts_text(facts))
    if facts.first_alert is not None:
        when = iso_from_jd(facts.first_alert.jd)
        words.append(f"first alert that passed: {facts.first_alert.id}, {when}")
    parts = [element("span", word) for word in words]
    if candidate.strays:
        parts.append(element("strong", strays_text(candidate)))
    if not simulated and _ZTF_NAME.fullmatch(candidate.object_id):
        parts.extend(
            element(
                "a", name, href=address + candidate.object_id, rel="noopener noreferrer external"
            )
            for name, address in _PORTALS
        )
    return element("p", join(parts, " "), class_="facts")


def _errors(candidate: Candidate) -> Markup | None:
    failed = [result for result in candidate.results if result.error]
    if not failed:
        return None
    items = [element("li", element("strong", result.name), ": ", result.error) for result in failed]
    head = element("p", "Units that gave no result")
    return element("div", head, element("ul", join(items)), class_="errors")


def _results(candidate: Candidate) -> Markup | None:
    shown = [result for result in candidate.results if result.body is not None]
    if not shown:
        return None
    names = ", ".join(result.name for result in shown)
    return element(
        "details",
        element("summary", f"Unit results: {names}"),
        element("div", join([_result(result) for result in shown]), class_="results"),
    )


def _result(result: UnitResult) -> Markup:
    body = result.body or {}
    if has_why(result):
        body = {key: value for key, value in body.items() if key not in EXPLAINED}
    name = result.name if result.name == result.unit else f"{result.name} ({result.unit})"
    return element("section", element("h5", name), key_values(body))


def _provenance(candidate: Candidate) -> Markup:
    origin = candidate.provenance
    records = [str(where) for where in origin.records[:_MOST_RECORDS]]
    if len(origin.records) > _MOST_RECORDS:
        records.append(f"and {len(origin.records) - _MOST_RECORDS} more")
    table = key_values(
        {
            "topology": f"{origin.topology} {origin.topology_version} ({origin.topology_hash})",
            "light curve": f"{len(candidate.lightcurve)} datapoints ({origin.lightcurve_digest})",
            "event revision": f"{origin.event_revision} ({origin.event_digest})",
            "alerts": " ".join(str(candid) for candid in origin.alerts) or DASH,
        }
    )
    units = [
        element(
            "tr",
            *(
                element("td", words)
                for words in (one.name, one.unit, one.version, one.config_hash, one.input_digest)
            ),
        )
        for one in candidate.results
    ]
    heads = ("Result", "Unit", "Version", "Configuration", "Input")
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    return element(
        "details",
        element("summary", "Provenance"),
        table,
        element(
            "div",
            element("table", element("thead", head), element("tbody", join(units)), class_="rows"),
            class_="scroll",
        )
        if units
        else None,
        element("h5", "Records that it came from: source[partition]@offset") if records else None,
        element("ul", join([element("li", one) for one in records]), class_="records"),
        class_="provenance",
    )


EXPLAINED = frozenset({"why", "rejects", "corrections"})
"""Keys of a score that this part of the card shows, so that the table of results need not."""


def has_why(result: UnitResult) -> bool:
    """Whether the result says how its score came about."""
    why = None if result.body is None else result.body.get("why")
    return (
        isinstance(why, Sequence)
        and not isinstance(why, str)
        and all(isinstance(part, Mapping) for part in why)
    )


def draw_why(candidate: Candidate) -> Markup | None:
    """Tables of all scores of the candidate that explain themselves; None without any."""
    parts = [_explanation(result) for result in candidate.results if has_why(result)]
    return join(parts) if parts else None


def _explanation(result: UnitResult) -> Markup:
    body = result.body or {}
    rows, total = _waterfall(list(body["why"]))
    foot = element(
        "tr",
        element("th", "Total", scope="row"),
        element("td", number(total), class_="num"),
        element("td", colspan=2),
    )
    table = element(
        "table",
        element("caption", f"Why it scored what it scored ({result.name})"),
        element(
            "thead",
            element(
                "tr",
                element("th", "Part", scope="col"),
                element("th", "Points", scope="col", class_="num"),
                element("th", "Running total", scope="col", class_="steps"),
                element("th", "Because", scope="col"),
            ),
        ),
        element("tbody", join(rows)),
        element("tfoot", foot),
        class_="why",
    )
    notes = [_note("Rejects", body.get("rejects")), _note("Corrections", body.get("corrections"))]
    return element("div", element("div", table, class_="scroll"), *notes, class_="explanation")


def _note(name: str, value: Any) -> Markup | None:
    if not value:
        return None
    return element("p", element("strong", f"{name}: "), value_cell(value), class_="note")


def _points(part: Mapping[str, Any]) -> float:
    points = part.get("points")
    return float(points) if points is not None and is_number(points) else 0.0


def _waterfall(parts: Sequence[Mapping[str, Any]]) -> tuple[list[Markup], float]:
    """One row a part, each bar beginning where the one before ended."""
    levels = [0.0]
    for part in parts:
        levels.append(levels[-1] + _points(part))
    low, high = min(levels), max(levels)
    span = (high - low) or 1.0
    rows = []
    for part, start, end in zip(parts, levels, levels[1:], strict=False):
        left = 100 * (min(start, end) - low) / span
        bar = element(
            "span",
            class_="step down" if end < start else "step",
            style=f"left:{left:.2f}%;width:{100 * abs(end - start) / span:.2f}%",
        )
        points = _points(part)
        rows.append(
            element(
                "tr",
                element("th", str(part.get("part", "")), scope="row"),
                element("td", f"{points:+g}" if points else "0", class_="num"),
                element("td", bar if points else None, class_="steps"),
                element("td", str(part.get("text", ""))),
                class_=None if points else "zero",
            )
        )
    return rows, levels[-1]
