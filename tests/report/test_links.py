from collections.abc import Callable

from ampelstream.model.candidate import Candidate
from ampelstream.report.links import draw_links

Make = Callable[..., Candidate]


def test_by_name_and_by_position(make_candidate: Make) -> None:
    html = draw_links(make_candidate("ZTF24aaaaaaa", ra=0.5, dec=-0.25))
    assert html is not None
    for url in (
        "https://alerce.online/object/ZTF24aaaaaaa",
        "https://fritz.science/source/ZTF24aaaaaaa",
        "https://www.legacysurvey.org/viewer?ra=0.500000&amp;dec=-0.250000&amp;layer=ls-dr10",
        "https://www.wis-tns.org/search?ra=0.500000&amp;decl=-0.250000&amp;radius=5",
    ):
        assert url in html


def test_a_name_of_another_survey_leads_by_position_only(make_candidate: Make) -> None:
    html = draw_links(make_candidate("170028512724811791", dec=5.0))
    assert html is not None
    assert "alerce" not in html
    assert "legacysurvey" in html
    assert "%2B5.000000" in html  # a plus sign would be a blank


def test_what_has_neither_leads_nowhere(make_candidate: Make) -> None:
    assert draw_links(make_candidate('x"><script>', ra=None, dec=None)) is None
