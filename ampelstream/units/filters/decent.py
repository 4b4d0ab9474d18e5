"""DecentFilter: the cuts that AMPEL's gravitational-wave follow-up puts on every ZTF alert."""

import math
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.model.digest import digest
from ampelstream.units.base import ACCEPT, AlertFilter, Verdict
from ampelstream.units.filters.decent_config import DecentCuts
from ampelstream.units.filters.decent_rules import RULES
from ampelstream.units.filters.gaia import GAIA_COLUMNS, star_in_gaia
from ampelstream.units.inputs import Resources

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import Catalog

__all__ = ["DecentFilter"]


class DecentFilter(DecentCuts, AlertFilter):
    """Reject artefacts, asteroids, stars and too old or too young sources.

    The rules are those of AMPEL's DecentFilter, in its order; the first that fails is the reason:
    ``nDet``, ``tSpan``, ``missing``, ``isdiffpos``, ``rb``, ``drb``, ``fwhm``, ``elong``,
    ``magdiff``, ``nbad`` (only with ``apply_max_nbad``), ``archive_tspan``, ``ssdistnr``,
    ``galPlane``, ``distpsnr1``, ``ps1Confusion``, ``gaia``.

    It differs from AMPEL where AMPEL crashes: a ``drb`` that is null is rejected (``drb``).
    """

    _gaia: "Catalog | None" = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Open the Gaia catalogue, if it is asked for.

        Raises
        ------
        CatalogError
            It is not there, or lacks a column.
        """
        if self.gaia_rs > 0:
            catalog = resources.catalogs.open(self.gaia_catalog)
            catalog.require(GAIA_COLUMNS)
            self._gaia = catalog

    def fingerprint(self) -> str:
        """Digest of the configuration, and of the Gaia catalogue where it is read."""
        own = super().fingerprint()
        return own if self._gaia is None else digest([own, self._gaia.version])

    def judge(self, alert: Alert) -> Verdict:
        """Accept, or reject with the first rule that failed.

        Raises
        ------
        UnitError
            Gaia is asked for, but ``open`` was not called.
        """
        history = self._judge_history(alert)
        if history:
            return Verdict(accept=False, reason=history)
        candidate = alert.candidate
        for reason, rejects in RULES:
            if rejects(self, candidate):
                return Verdict(accept=False, reason=reason)
        if self.gaia_rs > 0 and self._in_gaia(alert):
            return Verdict(accept=False, reason="gaia")
        return ACCEPT

    def _judge_history(self, alert: Alert) -> str:
        """Rules on the detections of the packet; the reason, or an empty string."""
        if self.min_ndet <= 1 and self.min_tspan <= 0 and self.max_tspan == math.inf:
            return ""  # no history can fail, so it need not be decoded
        jds = alert.detection_jds()
        if len(jds) < self.min_ndet:
            return "nDet"
        return "" if self.min_tspan <= max(jds) - min(jds) <= self.max_tspan else "tSpan"

    def _in_gaia(self, alert: Alert) -> bool:
        if self._gaia is None:
            raise UnitError(
                f"DecentFilter is to look into {self.gaia_catalog} (gaia_rs > 0), but the "
                "catalogue was not opened: call open(resources) before the first alert"
            )
        return star_in_gaia(self, self._gaia, alert.candidate["ra"], alert.candidate["dec"])
