"""Links to what others know of a candidate: by its name, and by its position.

They are links only: the page loads nothing from them.
"""

import re
from urllib.parse import quote

from ampelstream.model.candidate import Candidate
from ampelstream.report.markup import Markup, element, join

__all__ = ["draw_links"]

_ZTF_NAME = re.compile(r"ZTF\d{2}[a-z]{7}")
_BY_NAME = (
    ("ALeRCE", "https://alerce.online/object/{name}"),
    ("Fink", "https://ztf.fink-portal.org/{name}"),
    ("Lasair", "https://lasair-ztf.lsst.ac.uk/objects/{name}"),
    # Fritz is the SkyPortal of ZTF; others have the same paths
    ("SkyPortal (Fritz)", "https://fritz.science/source/{name}"),
)
_BY_POSITION = (
    (
        "Legacy Surveys",
        "https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&layer=ls-dr10&zoom=16&mark={ra},{dec}",
    ),
    (
        "TNS",
        "https://www.wis-tns.org/search?ra={ra}&decl={dec}&radius=5&coords_unit=arcsec",
    ),
    (
        "SIMBAD",
        "https://simbad.cds.unistra.fr/simbad/sim-coo?Coord={ra}%20{signed}&Radius=10&Radius.unit=arcsec",
    ),
)


def draw_links(candidate: Candidate) -> Markup | None:
    """Links of a real candidate; None where it has neither a known name nor a position."""
    links = []
    if _ZTF_NAME.fullmatch(candidate.object_id):
        links += [(title, url.format(name=candidate.object_id)) for title, url in _BY_NAME]
    if candidate.ra is not None and candidate.dec is not None:
        # to a milliarcsecond or so, which is more than any of them asks for
        ra, dec = f"{candidate.ra:.6f}", f"{candidate.dec:.6f}"
        signed = quote(f"{candidate.dec:+.6f}")
        links += [(title, url.format(ra=ra, dec=dec, signed=signed)) for title, url in _BY_POSITION]
    if not links:
        return None
    shown = [
        element("a", title, href=url, rel="noopener noreferrer external") for title, url in links
    ]
    return element("p", join(shown, " "), class_="links")
