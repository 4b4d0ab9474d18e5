"""A card for each of the best candidates: light curve, score, results, where it comes from."""

import re

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.report.columns import level_text, position_text, redshift_text, score_text
from ampelstream.report.lightcurve import draw_lightcurve
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import DASH, number, sexagesimal
from ampelstream.report.ranking import Listing, Row
from ampelstream.report.results import key_values
from ampelstream.report.why import EXPLAINED, draw_why, has_why

__all__ = ["draw_card"]

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
    words.append(f"credible level {level_text(facts)}")
    if facts.redshift is not None:
        words.append(f"z = {redshift_text(facts)}")
    if facts.distance_mpc is not None:
        words.append(f"{number(facts.distance_mpc, 3)} Mpc")
    words.append(f"{facts.detections} detections")
    parts = [element("span", word) for word in words]
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
