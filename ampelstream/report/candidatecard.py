"""A card for each of the best candidates: light curve, cutouts, score and why, provenance."""

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.display import counted
from ampelstream.report.brightness import luminosity_of
from ampelstream.report.candidatefacts import draw_errors, draw_facts
from ampelstream.report.content import Stamp
from ampelstream.report.explanation import EXPLAINED, draw_why, has_why
from ampelstream.report.lightcurveplot import draw_lightcurve
from ampelstream.report.links import draw_links
from ampelstream.report.markup import Markup, data_uri, element, join, key_values
from ampelstream.report.quantities import DASH
from ampelstream.report.views import Listing, Row, score_text

__all__ = ["draw_card"]

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
    return element(
        "article",
        element(
            "h4",
            element("span", row.label, class_="badge"),
            " ",
            candidate.object_id,
            element("span", _score(row, listing), class_="score"),
        ),
        None if simulated else draw_links(candidate),
        draw_errors(candidate),
        _halves(row),
        _provenance(candidate),
        id=row.anchor,
        class_="card",
        aria_label=title,
    )


def _halves(row: Row) -> Markup:
    """Two columns of about the same height, whatever the units gave, and what has no room there.

    What a score explains is long: facts and cutouts then stand below the light curve. Without it
    they stand beside it, with the result of a unit; those of several stand below.
    """
    candidate, facts = row.candidate, draw_facts(row)
    name = f"Light curve of {candidate.object_id}"
    luminosity = luminosity_of(row.facts)
    curve = element(
        "figure", draw_lightcurve(candidate.lightcurve, candidate.t0_jd, name, luminosity)
    )
    stamps, why, results = (
        _stamps(row.stamps, candidate.object_id),
        draw_why(candidate),
        _results(candidate),
    )
    all_of_them = element("div", join(results), class_="results") if results else None
    if why is not None:
        left = element("div", curve, facts, stamps)
        below = _folded(candidate, all_of_them)
        return Markup(element("div", left, element("div", why), class_="pair") + (below or ""))
    if len(results) <= 1:
        left, right = element("div", curve, stamps), element("div", facts, all_of_them)
        return element("div", left, right, class_="pair")
    pair = element("div", element("div", curve), element("div", facts, stamps), class_="pair")
    return Markup(pair + (all_of_them or ""))


def _folded(candidate: Candidate, results: Markup | None) -> Markup | None:
    if results is None:
        return None
    return element("details", element("summary", f"Unit results: {_names(candidate)}"), results)


def _score(row: Row, listing: Listing) -> str:
    if row.score is None:
        return "no score"
    name = listing.score_path.split(".")[-1] if listing.score_path else "rank"
    return f"{name} {score_text(row)}"


def _stamps(stamps: tuple[Stamp, ...], object_id: str) -> Markup | None:
    """The cutouts of an alert side by side."""
    if not stamps:
        return None
    images = [
        element(
            "figure",
            element("img", src=data_uri(one.png), alt=f"{one.kind} image of {object_id}"),
            element("figcaption", one.kind),
        )
        for one in stamps
    ]
    note = element("p", stamps[0].note, class_="muted note")
    return element("div", join(images), note, class_="stamps")


def _shown(candidate: Candidate) -> list[UnitResult]:
    return [result for result in candidate.results if result.body is not None]


def _names(candidate: Candidate) -> str:
    return ", ".join(result.name for result in _shown(candidate))


def _results(candidate: Candidate) -> list[Markup]:
    return [_result(result) for result in _shown(candidate)]


def _result(result: UnitResult) -> Markup:
    body = result.body or {}
    if has_why(result):
        body = {key: value for key, value in body.items() if key not in EXPLAINED}
    name = result.name if result.name == result.unit else f"{result.name} ({result.unit})"
    return element("section", element("h5", name), key_values(body))


_HEADS = ("Result", "Unit", "Version", "Configuration", "Input")


def _versions(one: UnitResult) -> tuple[str, ...]:
    return one.name, one.unit, one.version, one.config_hash, one.input_digest


def _provenance(candidate: Candidate) -> Markup:
    origin = candidate.provenance
    records = [str(where) for where in origin.records[:_MOST_RECORDS]]
    if len(origin.records) > _MOST_RECORDS:
        records.append(f"and {len(origin.records) - _MOST_RECORDS} more")
    points = counted(len(candidate.lightcurve), "datapoint")
    table = key_values(
        {
            "topology": f"{origin.topology} {origin.topology_version} ({origin.topology_hash})",
            "light curve": f"{points} ({origin.lightcurve_digest})",
            "event revision": f"{origin.event_revision} ({origin.event_digest})",
            "alerts": " ".join(str(candid) for candid in origin.alerts) or DASH,
        }
    )
    units = [
        element(
            "tr",
            *(
                element("td", words, data_label=head)
                for head, words in zip(_HEADS, _versions(one), strict=True)
            ),
        )
        for one in candidate.results
    ]
    head = element("tr", *(element("th", name, scope="col") for name in _HEADS))
    return element(
        "details",
        element("summary", "Provenance"),
        table,
        element(
            "div",
            element(
                "table",
                element("thead", head),
                element("tbody", join(units)),
                class_="rows stacking",
            ),
            class_="scroll",
        )
        if units
        else None,
        element("h5", "Records that it came from: source[partition]@offset") if records else None,
        element("ul", join([element("li", one) for one in records]), class_="records"),
        class_="provenance",
    )
