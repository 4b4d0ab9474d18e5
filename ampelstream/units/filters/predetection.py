"""PredetectionFilter: what was there before the trigger was not made by it."""

from pydantic import Field

from ampelstream.errors import UnitError
from ampelstream.model.lightcurve import Datapoint
from ampelstream.units import ACCEPT, MatchFilter, MatchInputs, Verdict

__all__ = ["PredetectionFilter"]

_REJECT = Verdict(accept=False, reason="predetection")


class PredetectionFilter(MatchFilter):
    """Reject an object that was detected before the trigger (``predetection``).

    All detections of the light curve count. Those fainter than the reference image do, too, as in
    AMPEL: no brightness is taken from them, but what is fainter now was there before. Upper limits
    and forced photometry do not, nor does what is no source by its real-bogus score, where
    ``min_rb`` says so. A detection at the very time of the trigger is not before it.
    """

    tolerance_days: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Detections up to this long before the trigger are let pass [d].",
    )
    min_rb: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Detections with a real-bogus score (ZTF: rb, Rubin: reliability) below this "
        "do not count; those without one do.",
    )

    def evaluate(self, inputs: MatchInputs) -> Verdict:
        """Accept, or reject where a detection is earlier than the trigger.

        Raises
        ------
        UnitError
            The event has no trigger time.
        """
        t0 = inputs.event.t0_jd
        if t0 is None:
            raise UnitError(f"event {inputs.event.event_id} has no trigger time to compare with")
        latest, curve = t0 - self.tolerance_days, inputs.lightcurve
        found = (*curve.detections, *curve.negative)
        early = any(p.jd < latest and self._counts(p) for p in found)
        return _REJECT if early else ACCEPT

    def _counts(self, point: Datapoint) -> bool:
        return point.rb is None or point.rb >= self.min_rb
