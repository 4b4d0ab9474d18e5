"""PredetectionFilter: what was there before the trigger was not made by it."""

import math

from pydantic import Field

from ampelstream.errors import UnitError
from ampelstream.units import ACCEPT, MatchFilter, MatchInputs, Verdict

__all__ = ["PredetectionFilter"]

_REJECT = Verdict(accept=False, reason="predetection")


class PredetectionFilter(MatchFilter):
    """Reject an object that was detected before the trigger (``predetection``).

    All detections of the light curve count. Those fainter than the reference image do, too, as in
    AMPEL: no brightness is taken from them, but what is fainter now was there before. Upper limits
    and forced photometry do not. A detection at the very time of the trigger is not before it.
    """

    tolerance_days: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Detections up to this long before the trigger are let pass [d].",
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
        curve = inputs.lightcurve
        # light curves are sorted by time
        firsts = [found[0].jd for found in (curve.detections, curve.negative) if found]
        early = min(firsts, default=math.inf) < t0 - self.tolerance_days
        return _REJECT if early else ACCEPT
