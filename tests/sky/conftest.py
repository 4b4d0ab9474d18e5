"""Small sky maps, made here: the same sky in every encoding that files come in."""

import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Sky:
    """Tiles of mixed orders that cover the sky, in no particular order."""

    order: NDArray[np.int64]
    pixel: NDArray[np.int64]
    columns: Columns
    """PROBDENSITY, and with distances DISTMU, DISTSIGMA, DISTNORM."""

    def rasterised(self, order: int) -> Columns:
        """Values in the NESTED order; PROB instead of PROBDENSITY."""
        factor = 4 ** (order - self.order)
        start = self.pixel * factor
        sort = np.argsort(start)
        flat = {key: np.repeat(one[sort], factor[sort]) for key, one in self.columns.items()}
        return {"PROB": flat.pop("PROBDENSITY") * 4 * np.pi / (12 * 4**order), **flat}


class Forge:
    """Makes skies and FITS files of them."""

    @staticmethod
    def sky(seed: int, *, distances: bool = False, deepest: int = 4) -> Sky:
        """Split tiles at random; a tenth of them has no probability, some are equal."""
        rng = np.random.default_rng(seed)
        orders, pixels = [], []
        current = np.arange(12)
        for level in range(deepest + 1):
            split = rng.random(len(current)) < (0.5 if level < deepest else 0.0)
            pixels.append(current[~split])
            orders.append(np.full(len(pixels[-1]), level))
            current = (current[split][:, None] * 4 + np.arange(4)).ravel()
        order, pixel = np.concatenate(orders), np.concatenate(pixels)
        n = len(order)
        density = rng.lognormal(size=n) * (rng.random(n) > 0.1)
        density[rng.integers(n, size=n // 4)] = density.max()
        density /= np.sum(density * 4 * np.pi / 12 / 4.0**order)
        columns = {"PROBDENSITY": density}
        if distances:
            mu = rng.uniform(20, 200, n)
            sigma = mu * rng.uniform(0.05, 0.4, n)
            # mu / sigma >= 2.5: the part of the Gaussian below r = 0 hardly matters
            columns |= {"DISTMU": mu, "DISTSIGMA": sigma, "DISTNORM": 1 / (mu**2 + sigma**2)}
        shuffled = rng.permutation(n)
        return Sky(order[shuffled], pixel[shuffled], {k: v[shuffled] for k, v in columns.items()})

    @staticmethod
    def table(
        columns: Sequence[fits.Column], cards: Mapping[str, str | float | None], *, gz: bool = False
    ) -> bytes:
        """FITS file of one table; a card that is None is left out."""
        hdu = fits.BinTableHDU.from_columns(columns)
        for key, value in cards.items():
            if value is not None:
                hdu.header[key] = value
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
        return gzip.compress(stream.getvalue()) if gz else stream.getvalue()

    def multi_order(self, sky: Sky, *, gz: bool = False, **cards: str | float | None) -> bytes:
        """Multi-order file."""
        uniq = 4 * 4**sky.order + sky.pixel
        columns = [fits.Column("UNIQ", "K", array=uniq)]
        columns += [fits.Column(key, "D", array=one) for key, one in sky.columns.items()]
        return self.table(columns, self._cards("NUNIQ") | cards, gz=gz)

    def flat(
        self,
        values: Columns,
        *,
        ordering: str = "NESTED",
        kind: str = "D",
        gz: bool = False,
        **cards: str | float | None,
    ) -> bytes:
        """Flat file of values in the NESTED order; ``kind`` may be a vector such as 4D."""
        npix = len(next(iter(values.values())))
        nside = int(np.sqrt(npix // 12))
        if ordering == "RING":
            nested = hp.ring2nest(nside, np.arange(npix))
            values = {key: one[nested] for key, one in values.items()}
        width = int(kind[:-1] or 1)
        columns = [
            fits.Column(key, kind, array=one.reshape(-1, width) if width > 1 else one)
            for key, one in values.items()
        ]
        known = {**self._cards(ordering), "NSIDE": nside, "INDXSCHM": "IMPLICIT"}
        return self.table(columns, known | cards, gz=gz)

    @staticmethod
    def _cards(ordering: str) -> dict[str, str | float | None]:
        return {
            "PIXTYPE": "HEALPIX",
            "ORDERING": ordering,
            "COORDSYS": "C",
            "OBJECT": "S123456a",
            "DATE-OBS": "2017-08-17T12:41:04.429464",
        }


@pytest.fixture(scope="session")
def forge() -> Forge:
    return Forge()
