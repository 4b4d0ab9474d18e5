"""Wording of the columns that the tables, the cards and the terminal have in common."""

from ampelstream.model.candidate import Candidate
from ampelstream.report.facts import Facts
from ampelstream.report.quantities import DASH, number
from ampelstream.report.ranking import Row

__all__ = [
    "first_text",
    "latest_text",
    "level_text",
    "position_text",
    "redshift_text",
    "score_text",
]


def score_text(row: Row) -> str:
    """Score to four significant digits."""
    return DASH if row.score is None else number(row.score)


def position_text(candidate: Candidate) -> str:
    """Right ascension and declination [deg] to 1e-5, about 0.04 arcsec."""
    if candidate.ra is None or candidate.dec is None:
        return DASH
    return f"{candidate.ra:.5f} {candidate.dec:+.5f}"


def first_text(facts: Facts) -> str:
    """First detection after the trigger [d], with its sign."""
    return DASH if facts.first_days is None else f"{facts.first_days:+.2f}"


def latest_text(facts: Facts) -> str:
    """Latest magnitude and its band."""
    if facts.latest is None or facts.latest.mag is None:
        return DASH
    return f"{facts.latest.mag:.2f} {facts.latest.band}"


def level_text(facts: Facts) -> str:
    """Credible level in percent, finely where it is close to 100 %."""
    if facts.level is None:
        return DASH
    return f"{100 * facts.level:.1f} %" if facts.level < 0.999 else f"{100 * facts.level:.3f} %"  # noqa: PLR2004  (99.9 %)


def redshift_text(facts: Facts) -> str:
    """Redshift to three significant digits."""
    return DASH if facts.redshift is None else number(facts.redshift, 3)
