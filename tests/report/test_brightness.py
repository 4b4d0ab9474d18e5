from collections.abc import Callable

import pytest

from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.brightness import Luminosity, luminosity_of
from ampelstream.report.views import facts_of

Make = Callable[..., Candidate]
MakeResult = Callable[..., UnitResult]


def test_modulus_and_reddening_are_those_that_units_gave(
    make_candidate: Make, make_result: MakeResult
) -> None:
    results = (make_result("A", {"distance_mpc": 40.0}), make_result("Dust", {"ebv": 0.105}))
    found = luminosity_of(facts_of(make_candidate(results=results), None))
    assert found.modulus == pytest.approx(33.0103, abs=1e-4)  # 5 lg(40 Mpc / 10 pc)
    assert found.extinction("g") == pytest.approx(3.237 * 0.105)
    assert found.extinction("fid9") == 0.0
    assert "0.105" in found.correction


def test_nothing_is_made_up(make_candidate: Make) -> None:
    found = luminosity_of(facts_of(make_candidate(results=()), None))
    assert found == Luminosity(None, None)
    assert found.extinction("g") == 0.0
    assert found.correction == "not corrected for extinction"


def test_what_is_fainter_than_the_reference_is_neither_first_nor_latest(
    make_candidate: Make, detection: Callable[..., Datapoint]
) -> None:
    negative = [detection(0.1, 15.0, positive=False), detection(9.0, 15.0, positive=False)]
    seen = [detection(1.0, 18.0, positive=True), detection(2.0, 19.0)]  # or not known
    facts = facts_of(make_candidate(lightcurve=(*negative, *seen)), None)
    assert facts.first_days == pytest.approx(1.0)
    assert facts.latest == seen[1]
    assert (facts.detections, facts.negative) == (2, 2)
    alone = facts_of(make_candidate(lightcurve=tuple(negative)), None)
    assert alone.first_days is None
    assert alone.latest is None
