"""The rules' numbers of the kilonova score; defaults are those of AMPEL's T2KilonovaEval."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ampelstream.errors import ConfigError

__all__ = ["KilonovaRules"]


class KilonovaRules(BaseModel):
    """What gives a point and what is noted as a reject."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["corrected", "ampel"] = Field(
        default="corrected",
        description="ampel repeats AMPEL's score with its mistakes; corrected mends them and says "
        "in the result what that changed.",
    )
    distance_mode: Literal["reward", "punish", "pass"] = Field(
        default="reward",
        description="Points when redshift and sky map agree in distance / disagree: reward +5 / "
        "0, punish 0 / -20, pass +1 / 0.",
    )
    min_redshift: float = Field(default=0.001, description="A point above this redshift ...")
    max_redshift: float = Field(default=0.05, description="... and below this one.")
    min_dist: float = Field(
        default=1.5, description="A point for a host further away than this [arcsec] ..."
    )
    max_dist: float = Field(default=50.0, description="... and closer than this [arcsec].")
    max_kpc_dist: float = Field(
        default=999.0, description="A point for a host closer than this [kpc, proper]."
    )
    max_dist_sigma: float = Field(
        default=3.0,
        description="Distances agree within this many standard deviations of the map's.",
    )
    min_ndet: int = Field(default=1, description="Fewer detections are noted: too_few_pps.")
    min_age: float = Field(
        default=0.01,
        description="First to last detection [d]; shorter is noted: age. One detection has age 0.",
    )
    max_age: float = Field(
        default=10.0, description="First to last detection [d]; longer is noted: age."
    )
    min_peak_mag: float = Field(
        default=16.0, description="Brighter at peak [mag] is noted: peak_mag."
    )
    max_peak_mag: float = Field(
        default=22.0, description="Fainter at peak [mag] is noted: peak_mag."
    )
    min_gal_lat: float = Field(
        default=14.0,
        description="Closer to the Galactic plane [deg] is noted: min_gal_lat.",
    )
    rb_minmed: float = Field(
        default=0.3, description="A median real-bogus score below this is noted: rb_minmed."
    )
    drb_minmed: float = Field(
        default=0.995,
        description="A median deep-learning real-bogus score below this is noted: drb_minmed.",
    )
    min_absmag: float = Field(
        default=-20.0, description="A point for a peak fainter than this absolute magnitude ..."
    )
    max_absmag: float = Field(default=-12.0, description="... and brighter than this one.")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        """Refuse ranges that nothing can be in."""
        for low, high in (
            ("min_redshift", "max_redshift"),
            ("min_dist", "max_dist"),
            ("min_age", "max_age"),
            ("min_peak_mag", "max_peak_mag"),
            ("min_absmag", "max_absmag"),
        ):
            if not getattr(self, low) < getattr(self, high):
                raise ConfigError(f"{low} must be below {high}")
        return self
