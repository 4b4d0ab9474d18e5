"""What a card says of its candidate beside the drawings: facts, and units that failed."""

from ampelstream.model.candidate import Candidate
from ampelstream.model.times import iso_from_jd
from ampelstream.report.brightness import luminosity_of
from ampelstream.report.markup import Markup, element, join
from ampelstream.report.quantities import number, sexagesimal
from ampelstream.report.views import (
    Row,
    counts_text,
    first_text,
    latest_text,
    level_text,
    position_text,
    redshift_text,
    strays_text,
)

__all__ = ["draw_errors", "draw_facts"]


def draw_facts(row: Row) -> Markup:
    """List position, distance and what was seen when; what is not known is left out."""
    candidate, facts = row.candidate, row.facts
    words = {"RA, Dec [deg], ICRS": position_text(candidate)}
    if candidate.ra is not None and candidate.dec is not None:
        words["RA, Dec"] = " ".join(sexagesimal(candidate.ra, candidate.dec))
    if facts.level is not None:
        words["Credible level"] = level_text(facts)
    if facts.first_days is not None:
        words["First seen"] = f"{first_text(facts)} d from the trigger"
    if facts.first_alert is not None:
        when = iso_from_jd(facts.first_alert.jd)
        words["First alert that passed"] = f"{facts.first_alert.id}, {when}"
    if facts.latest is not None:
        words["Latest [AB mag]"] = latest_text(facts)
    words["Detections"] = counts_text(facts)
    if candidate.strays:
        words["Positions"] = strays_text(candidate)
    if facts.redshift is not None:
        words["Redshift"] = redshift_text(facts)
    if facts.distance_mpc is not None:
        words["Distance"] = f"{number(facts.distance_mpc, 3)} Mpc"
        words["Distance modulus"] = f"{luminosity_of(facts).modulus or 0:.2f} mag"
    if facts.ebv is not None:
        words["Galactic E(B-V)"] = f"{facts.ebv:.3f} mag"
    items = [
        element(
            "div",
            element("dt", name),
            element("dd", value),
            class_="wide" if len(value) > _WIDE else None,
        )
        for name, value in words.items()
    ]
    return element("dl", join(items), class_="facts-grid of-card")


_WIDE = 30
"""Characters from which on a fact has a line of its own, so that no number in it is broken."""


def draw_errors(candidate: Candidate) -> Markup | None:
    """List the units that gave no result, and why; None where all did."""
    failed = [result for result in candidate.results if result.error]
    if not failed:
        return None
    items = [element("li", element("strong", result.name), ": ", result.error) for result in failed]
    head = element("p", "Units that gave no result")
    return element("div", head, element("ul", join(items)), class_="errors")
