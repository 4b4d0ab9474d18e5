"""Which fields the alerts of a survey have, and what they hold: facts of the surveys' schemas.

They are the fields of an alert's own detection, by which conditions (``alerts.where``) and filters
name them: of ZTF those of ``candidate``, of Rubin those of ``diaSource``. All versions of a schema
count together: ZTF 1.3 to 4.02, Rubin 7.1 to 11.0. What a field means: ZTF's alert schema
(https://zwickytransientfacility.github.io/ztf-avro-alert/schema.html) and Rubin's
(https://sdm-schemas.lsst.io/apdb.html).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ampelstream.model.fieldtypes import NUMBER, TEXT, TRUTH, FieldType

__all__ = ["ALERT_FIELDS"]

_ZTF_NUMBERS = """
aimage aimagerat bimage bimagerat candid chinr chipsf classtar clrcoeff clrcounc clrmed clrrms
dec decnr diffmaglim distnr distpsnr1 distpsnr2 distpsnr3 drb dsdiff dsnrms elong exptime fid
field fwhm jd jdendhist jdendref jdstarthist jdstartref magap magapbig magdiff magfromlim
maggaia maggaiabright magnr magpsf magzpsci magzpscirms magzpsciunc mindtoedge nbad ncovhist
ndethist neargaia neargaiabright nframesref nid nmatches nmtchps nneg objectidps1 objectidps2
objectidps3 pid programid ra ranr rb rcid rfid scorr seeratio sgmag sgmag1 sgmag2 sgmag3 sgscore
sgscore1 sgscore2 sgscore3 sharpnr sigmagap sigmagapbig sigmagnr sigmapsf simag simag1 simag2
simag3 sky srmag srmag1 srmag2 srmag3 ssdistnr ssmagnr ssnrms sumrat szmag szmag1 szmag2 szmag3
tblid tooflag xpos ypos zpclrcov zpmed
"""
_ZTF_TEXTS = """
drbversion isdiffpos pdiffimfilename programpi rbversion ssnamenr
"""

_RUBIN_NUMBERS = """
apFlux apFluxErr bboxSize dec decErr detector diaObjectId diaSourceId dipoleAngle dipoleAngleErr
dipoleChi2 dipoleDec dipoleDecErr dipoleDec_dipoleAngle_Cov dipoleDec_dipoleLength_Cov
dipoleFluxDiff dipoleFluxDiffErr dipoleFluxDiff_dipoleAngle_Cov dipoleFluxDiff_dipoleDec_Cov
dipoleFluxDiff_dipoleLength_Cov dipoleFluxDiff_dipoleRa_Cov dipoleLength dipoleLengthErr
dipoleLength_dipoleAngle_Cov dipoleLnL dipoleMeanFlux dipoleMeanFluxErr
dipoleMeanFlux_dipoleAngle_Cov dipoleMeanFlux_dipoleDec_Cov dipoleMeanFlux_dipoleFluxDiff_Cov
dipoleMeanFlux_dipoleLength_Cov dipoleMeanFlux_dipoleRa_Cov dipoleNdata dipoleRa dipoleRaErr
dipoleRa_dipoleAngle_Cov dipoleRa_dipoleDec_Cov dipoleRa_dipoleLength_Cov extendedness fpBkgd
fpBkgdErr ixx ixxErr ixxPSF ixx_ixy_Cov ixx_iyy_Cov ixy ixyErr ixyPSF iyy iyyErr iyyPSF
iyy_ixy_Cov midpointMjdTai parentDiaSourceId psfChi2 psfDec psfDecErr psfFlux psfFluxErr
psfFlux_psfDec_Cov psfFlux_psfRa_Cov psfLnL psfNdata psfRa psfRaErr psfRa_psfDec_Cov ra raErr
ra_dec_Cov reliability scienceFlux scienceFluxErr snapDiffFlux snapDiffFluxErr snr ssObjectId
templateFlux templateFluxErr timeProcessedMjdTai timeWithdrawnMjdTai trailAngle trailAngleErr
trailChi2 trailDec trailDecErr trailDec_trailAngle_Cov trailDec_trailLength_Cov trailFlux
trailFluxErr trailFlux_trailAngle_Cov trailFlux_trailDec_Cov trailFlux_trailLength_Cov
trailFlux_trailRa_Cov trailLength trailLengthErr trailLength_trailAngle_Cov trailLnL trailNdata
trailRa trailRaErr trailRa_trailAngle_Cov trailRa_trailDec_Cov trailRa_trailLength_Cov visit x
xErr x_y_Cov y yErr
"""
_RUBIN_TRUTHS = """
apFlux_flag apFlux_flag_apertureTruncated centroid_flag dipoleFitAttempted forced_PsfFlux_flag
forced_PsfFlux_flag_edge forced_PsfFlux_flag_noGoodPixels glint_trail isDipole isNegative
is_negative pixelFlags pixelFlags_bad pixelFlags_cr pixelFlags_crCenter pixelFlags_edge
pixelFlags_injected pixelFlags_injectedCenter pixelFlags_injected_template
pixelFlags_injected_templateCenter pixelFlags_interpolated pixelFlags_interpolatedCenter
pixelFlags_nodata pixelFlags_nodataCenter pixelFlags_offimage pixelFlags_saturated
pixelFlags_saturatedCenter pixelFlags_streak pixelFlags_streakCenter pixelFlags_suspect
pixelFlags_suspectCenter psfFlux_flag psfFlux_flag_edge psfFlux_flag_noGoodPixels shape_flag
shape_flag_no_pixels shape_flag_not_contained shape_flag_parent_source trail_flag_edge
"""
_RUBIN_TEXTS = "band"


def _fields(numbers: str, texts: str, truths: str = "") -> Mapping[str, FieldType]:
    """Types by name; all may be null, or absent from an older packet."""
    kinds = ((NUMBER, numbers), (TEXT, texts), (TRUTH, truths))
    return MappingProxyType(
        {name: replace(kind, nullable=True) for kind, names in kinds for name in names.split()}
    )


ALERT_FIELDS: Mapping[str, Mapping[str, FieldType]] = MappingProxyType(
    {
        "ztf": _fields(_ZTF_NUMBERS, _ZTF_TEXTS),
        "lsst": _fields(_RUBIN_NUMBERS, _RUBIN_TEXTS, _RUBIN_TRUTHS),
    }
)
"""What the fields of each survey's alerts hold, by name."""
