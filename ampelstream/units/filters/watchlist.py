"""WatchlistFilter: alerts near a row of a table of one's own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, PrivateAttr

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.units import ACCEPT, AlertBatch, AlertFilter, Asked, Resources, Verdict, Verdicts

if TYPE_CHECKING:
    from ampelstream.sky.catalogs.catalog import Catalog
    from ampelstream.sky.catalogs.occupied import Occupied

__all__ = ["WatchlistFilter"]

_REASON = "watchlist"


class WatchlistFilter(AlertFilter):
    """Reject an alert that is not near a row of a catalogue (``watchlist``).

    The catalogue is made from a table with ``ampelstream catalogs add NAME TABLE``. One of up to a
    few million rows costs an alert about a microsecond.
    """

    catalog: str = Field(default="watchlist", description="Name of the catalogue.")
    radius_arcsec: float = Field(
        default=2.0,
        gt=0,
        le=3600,
        description="An alert this close to a row [arcsec] passes.",
    )

    _open: "tuple[Catalog, Occupied] | None" = PrivateAttr(default=None)

    def open(self, resources: Resources) -> None:
        """Open the catalogue.

        Raises
        ------
        CatalogError
            It is not there.
        """
        catalog = resources.catalogs.open(self.catalog)
        self._open = catalog, catalog.occupied(self.radius_arcsec)

    def reads(self) -> Mapping[str, str | None]:
        """Version of the catalogue."""
        return {} if self._open is None else {self.catalog: self._open[0].version}

    def asks(self) -> Asked:
        """Nothing but the position, which every alert has."""
        return Asked()

    def judge(self, batch: AlertBatch) -> Verdicts:
        """Accept those near a row.

        Raises
        ------
        UnitError
            The catalogue was not opened.
        """
        codes = np.ones(len(batch), np.int16)
        good = np.ones(len(batch), bool)
        good[list(batch.faults)] = False
        rows = np.flatnonzero(good)
        near = rows[self._opened()[1].near(batch.ra[rows], batch.dec[rows])]
        for row in near.tolist():
            if self._has_row(float(batch.ra[row]), float(batch.dec[row])):
                codes[row] = 0
        return Verdicts(codes, (_REASON,))

    def evaluate(self, alert: Alert) -> Verdict:
        """Accept an alert near a row.

        Raises
        ------
        UnitError
            The catalogue was not opened.
        """
        if self._has_row(alert.ra, alert.dec):
            return ACCEPT
        return Verdict(
            accept=False,
            reason=_REASON,
            seen={"ra": alert.ra, "dec": alert.dec},
            allowed={"catalog": self.catalog, "radius_arcsec": self.radius_arcsec},
        )

    def _opened(self) -> "tuple[Catalog, Occupied]":
        if self._open is None:
            raise UnitError(
                f"WatchlistFilter looks into the catalogue {self.catalog}, but it was not opened: "
                "call open(resources) before the first alert"
            )
        return self._open

    def _has_row(self, ra: float, dec: float) -> bool:
        return bool(self._opened()[0].cone(ra, dec, self.radius_arcsec, ()))
