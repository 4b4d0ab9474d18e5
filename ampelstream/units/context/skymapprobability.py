"""SkyMapProbability: where an object lies in the event's sky map, and how far the event is."""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from ampelstream.errors import UnitError
from ampelstream.units import Inputs, ObjectUnit

if TYPE_CHECKING:
    from ampelstream.sky.skymap import SkyMap

__all__ = ["SkyMapProbability", "SkyMapResult"]

_AREA_LEVEL = 0.9


class SkyMapResult(msgspec.Struct, frozen=True):
    """What the map says of a position; distances are None where the map has none.

    Attributes
    ----------
    cumprob
        Greedy credible level of the position, 0 to 1, its own tile included: AMPEL's ``cumprob``
        and ligo.skymap's searched probability.
    probdensity_per_sr
        Probability per solid angle [1/sr].
    area90_deg2
        Area of the 90 % region [deg2].
    map_dist, map_dist_unc
        Mean and standard deviation of the event's distance over the whole sky [Mpc].
    los_dist, los_dist_unc
        The same in the direction of the object [Mpc].
    map_name
        Name of the map.
    trigger_time
        Trigger time [JD, UTC].
    first_detection_days
        First detection brighter than the reference minus trigger [d]; negative before it.
    ra, dec
        Position of the object [deg, ICRS].
    """

    cumprob: float
    probdensity_per_sr: float
    area90_deg2: float
    map_dist: float | None
    map_dist_unc: float | None
    los_dist: float | None
    los_dist_unc: float | None
    map_name: str
    trigger_time: float | None
    first_detection_days: float | None
    ra: float
    dec: float


class SkyMapProbability(ObjectUnit):
    """Credible level and distances at the position of the object.

    It is the position that was matched with the map's region (`LightCurve.place`), so that the two
    agree, and a mean on the sphere (AMPEL's arithmetic mean fails across RA 0/360). Any map will do
    (flat or multi-order, with or without distances).
    """

    provides: ClassVar[str] = "skymap"
    needs_event: ClassVar[bool] = True

    def compute(self, inputs: Inputs) -> SkyMapResult:
        """Read the map at the object's position.

        Raises
        ------
        UnitError
            There is no sky map, or no detection with a position.
        """
        if inputs.skymap is None:
            name = inputs.event.event_id if inputs.event else "(no event)"
            raise UnitError(f"event {name} has no sky map to look the position up in")
        position = inputs.lightcurve.position
        if position is None:
            raise UnitError(f"{inputs.lightcurve.object_id} has no detection with a position")
        return _read(inputs.skymap, inputs, *position)


def _read(skymap: "SkyMap", inputs: Inputs, ra: float, dec: float) -> SkyMapResult:
    trigger = inputs.event.t0_jd if inputs.event else None
    detections = inputs.lightcurve.detections
    first = detections[0].jd - trigger if detections and trigger is not None else None
    found = skymap.at(ra, dec)
    # where the map has no tile, or no probability, it has no distance either
    covered = found.probdensity_per_sr > 0
    distance = skymap.distance(ra, dec) if covered else None
    return SkyMapResult(
        cumprob=float(found.searched_prob),
        probdensity_per_sr=float(found.probdensity_per_sr),
        area90_deg2=float(skymap.area(_AREA_LEVEL)),
        map_dist=skymap.distmean,
        map_dist_unc=skymap.diststd,
        los_dist=distance.mean if distance else None,
        los_dist_unc=distance.std if distance else None,
        map_name=skymap.name,
        trigger_time=trigger,
        first_detection_days=first,
        ra=ra,
        dec=dec,
    )
