"""PredetectionFilter: what was there before the trigger was not made by it."""

from pydantic import Field

from ampelstream.errors import UnitError
from ampelstream.units import ACCEPT, MatchFilter, MatchInputs, Verdict

__all__ = ["PredetectionFilter"]

_REJECT = Verdict(accept=False, reason="predetection")


class PredetectionFilter(MatchFilter):
    """Reject an object that was detected before the trigger (``predetection``).

    All detections of the light curve count, those fainter than the reference image included;
    upper limits do not. A detection at the very time of the trigger is not before it.
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
        # light curves are sorted by time
        detections = inputs.lightcurve.detections
        early = bool(detections) and detections[0].jd < t0 - self.tolerance_days
        return _REJECT if early else ACCEPT
