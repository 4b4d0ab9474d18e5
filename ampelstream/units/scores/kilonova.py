"""KilonovaScore: how much like the kilonova of this trigger an object looks."""

from typing import ClassVar

from ampelstream.model.lightcurve import Datapoint
from ampelstream.units.base import ObjectUnit
from ampelstream.units.inputs import Inputs
from ampelstream.units.scores.kilonova_config import KilonovaRules
from ampelstream.units.scores.kilonova_score import ScoreResult, score

__all__ = ["KilonovaScore"]


class KilonovaScore(KilonovaRules, ObjectUnit):
    """Add points for redshift, distance, position, model fit, bursts and light curve.

    The rules are those of AMPEL's T2KilonovaEval. Mode ``ampel`` gives its score with its mistakes;
    mode ``corrected`` (the default) gives the point for the absolute magnitude and takes the mean
    direction for the Galactic latitude, and says what that changed (``corrections``,
    ``score_ampel``). ``why`` explains the score part by part.

    Detections fainter than the reference image are left out: a kilonova adds light.
    The results of other units are read in the order of the topology; the distance is compared only
    when the redshift comes before the sky map.
    """

    provides: ClassVar[str] = "score"
    uses: ClassVar[tuple[str, ...]] = (
        "redshift",
        "skymap",
        "possis",
        "grb",
        "risedecline",
        "catalogs",
    )

    def compute(self, inputs: Inputs) -> ScoreResult:
        """Give the score; missing results of other units cost their points, nothing more."""
        points = [_photopoint(p) for p in inputs.lightcurve.detections if p.positive is not False]
        return score(self, points, [(one.provides, one.body) for one in inputs.dependencies])


def _photopoint(point: Datapoint) -> dict[str, float | None]:
    return {
        "jd": point.jd,
        "magpsf": point.mag,
        "ra": point.ra,
        "dec": point.dec,
        "rb": point.rb,
        "drb": point.drb,
    }
