"""The report as one HTML file that needs nothing else."""

import base64
import hashlib
from importlib.resources import files

from ampelstream.report.event import draw_event
from ampelstream.report.flow import draw_flow
from ampelstream.report.markup import Markup, element, join, text
from ampelstream.report.model import ReplayReport
from ampelstream.report.overview import draw_contents, draw_overview
from ampelstream.report.ranking import arrange

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


def render(report: ReplayReport, *, cards: int = 25, rows: int = 500) -> str:
    """Write the report.

    Parameters
    ----------
    report
        What to show.
    cards
        Candidates with a card and a number on the map, per event and channel.
    rows
        Candidates listed in a table, per event and channel.

    Returns
    -------
    str
        A whole HTML document; the same report gives the same document.
    """
    style, script = _resource("style.css"), _resource("script.js")
    views = arrange(report)
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
            draw_contents(views),
            element(
                "main",
                _banner() if report.simulated else None,
                _head(report),
                draw_flow(report.summary),
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


def _notes() -> Markup:
    return element(
        "footer",
        element("h2", "Notes"),
        element("ul", join([element("li", text(note)) for note in _NOTES])),
    )
