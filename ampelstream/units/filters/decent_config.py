"""The cuts of DecentFilter, with their units of measure."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DecentCuts"]


class DecentCuts(BaseModel):
    """Cuts on one alert; the keys are AMPEL's, so that a configuration can be carried over.

    All are required but the last two: there is no default that suits every science case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_ndet: int = Field(
        description="Least number of detections in the packet, the alert's own included."
    )
    min_tspan: float = Field(
        description="Least time from the packet's first detection to its last [d]."
    )
    max_tspan: float = Field(
        description="Longest time from the packet's first detection to its last [d]."
    )
    min_archive_tspan: float = Field(
        description="jdendhist - jdstarthist must be longer than this [d]; not tested where absent."
    )
    max_archive_tspan: float = Field(
        description="jdendhist - jdstarthist must be shorter than this [d]; not tested where "
        "absent."
    )
    min_drb: float = Field(
        description="Least deep-learning real-bogus score, 0 to 1; 0 switches the cut off. A "
        "packet without the field passes, one whose field is null does not."
    )
    min_rb: float = Field(description="Least real-bogus score, 0 to 1.")
    max_fwhm: float = Field(description="Largest full width at half maximum [pixel, 1.01 arcsec].")
    max_elong: float = Field(description="Largest ratio of major to minor axis.")
    max_magdiff: float = Field(
        description="Largest absolute difference of aperture and PSF magnitude [mag]."
    )
    max_nbad: int = Field(
        description="Largest number of bad pixels in a 5 x 5 stamp; used with apply_max_nbad only."
    )
    min_sso_dist: float = Field(
        description="Least distance to a known solar-system object [arcsec]; ZTF writes -999 where "
        "there is none."
    )
    min_gal_lat: float = Field(
        description="Least absolute Galactic latitude [deg]; 0 or less switches the cut off."
    )
    ps1_sgveto_rad: float = Field(
        description="Reject when the nearest Pan-STARRS source is closer than this [arcsec] and "
        "is a star by ps1_sgveto_th."
    )
    ps1_sgveto_th: float = Field(
        description="A nearest source whose star-galaxy score, 0 (galaxy) to 1 (star), is above "
        "this is a star."
    )
    ps1_confusion_rad: float = Field(
        description="Reject when all three nearest Pan-STARRS sources are closer than this "
        "[arcsec] and none can be told star from galaxy by ps1_confusion_sg_tol."
    )
    ps1_confusion_sg_tol: float = Field(
        description="A source whose star-galaxy score is closer than this to 0.5 cannot be told."
    )
    gaia_rs: float = Field(
        ge=0, description="Search radius around the alert for Gaia stars [arcsec]; 0 for none."
    )
    gaia_pm_signif: float = Field(
        description="A proper motion above this many sigma, in either coordinate, makes a star."
    )
    gaia_plx_signif: float = Field(description="A parallax above this many sigma makes a star.")
    gaia_veto_gmag_min: float = Field(description="Brightest G of a star that rejects [mag].")
    gaia_veto_gmag_max: float = Field(description="Faintest G of a star that rejects [mag].")
    gaia_excessnoise_sig_max: float = Field(
        description="Sources with an astrometric excess noise of this significance or more are no "
        "proof of a star."
    )
    apply_max_nbad: bool = Field(
        default=False,
        description="Apply max_nbad. AMPEL asks for it but never applies it, so neither do we "
        "unless told to.",
    )
    gaia_catalog: str = Field(
        default="GaiaDR2", description="Name of the Gaia catalogue; read when gaia_rs > 0 only."
    )
