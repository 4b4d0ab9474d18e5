"""An alert that the gravitational-wave follow-up cuts accept, to be spoiled field by field."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ampelstream.model.alert import Alert

MakeAlert = Callable[..., Alert]


class Epochs:
    """A history of detections at given times."""

    def __init__(self, jds: Sequence[float]) -> None:
        self.jds = jds
        self.read = 0

    def epochs(self) -> Sequence[float]:
        self.read += 1
        return self.jds

    def points(self) -> Sequence[Mapping[str, Any]]:
        return [{"jd": jd, "candid": index} for index, jd in enumerate(self.jds)]

    def forced(self) -> Sequence[Mapping[str, Any]]:
        return ()


@pytest.fixture
def cuts() -> dict[str, Any]:
    return {
        "min_ndet": 1,
        "min_tspan": -99,
        "max_tspan": 99,
        "min_archive_tspan": -99,
        "max_archive_tspan": 100,
        "min_drb": 0.995,
        "min_rb": 0.3,
        "max_fwhm": 5.5,
        "max_elong": 2,
        "max_magdiff": 1,
        "max_nbad": 2,
        "min_sso_dist": 20,
        "min_gal_lat": 14,
        "ps1_sgveto_rad": 1,
        "ps1_sgveto_th": 0.8,
        "ps1_confusion_rad": 3,
        "ps1_confusion_sg_tol": 0.1,
        "gaia_rs": 0,
        "gaia_pm_signif": 3,
        "gaia_plx_signif": 3,
        "gaia_veto_gmag_min": 9,
        "gaia_veto_gmag_max": 20,
        "gaia_excessnoise_sig_max": 999,
    }


@pytest.fixture
def make_alert() -> MakeAlert:
    def make(*, earlier: Sequence[float] = (), without: str = "", **changes: Any) -> Alert:
        candidate: dict[str, Any] = {
            "jd": 2460325.5,
            "ra": 180.0,
            "dec": 60.0,
            "isdiffpos": "t",
            "rb": 0.8,
            "drb": 0.999,
            "fwhm": 2.0,
            "elong": 1.1,
            "magdiff": 0.1,
            "nbad": 0,
            "jdstarthist": 2460320.5,
            "jdendhist": 2460325.5,
            "ssdistnr": -999.0,
            "distpsnr1": 5.0,
            "distpsnr2": 8.0,
            "distpsnr3": 9.0,
            "sgscore1": 0.1,
            "sgscore2": 0.5,
            "sgscore3": 0.5,
        }
        candidate.update(changes)
        candidate.pop(without, None)
        return Alert(
            survey="ztf",
            object_id="ZTF24aaaaaaa",
            candid=1,
            jd=2460325.5,
            ra=180.0,
            dec=60.0,
            candidate=candidate,
            history=Epochs(earlier),
        )

    return make
