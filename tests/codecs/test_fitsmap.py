"""Sky maps that were fetched by hand, as notices."""

import gzip
import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from ampelstream.codecs import fitsmap
from ampelstream.errors import DecodeError

TIME = "2019-07-28T06:45:10.548475"


def skymap(bright: int = 3, **cards: Any) -> bytes:
    """A flat map of 12 pixels."""
    values = np.full(12, 0.01)
    values[bright] = 0.89
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=values)])
    table.header["DATE-OBS"] = TIME
    for name, value in cards.items():
        table.header[name.replace("_", "-")] = value
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(out)
    return out.getvalue()


def name_of(data: bytes, file: str = "LALInference.fits.gz") -> str:
    return fitsmap.decode(data, file).revision.event_id


def test_the_header_names_the_event() -> None:
    assert name_of(skymap(OBJECT="S190728q")) == "S190728q"


def test_maps_without_a_name_are_different_events_unless_they_are_the_same_map() -> None:
    later = skymap(DATE_OBS="2019-07-30T06:45:10.548475")
    names = [name_of(skymap()), name_of(later), name_of(skymap(bright=4))]
    assert len(set(names)) == 3
    assert names[0].startswith("MAP20190728T064510.548-")
    assert len(names[0]) == 31
    assert name_of(skymap(), "deep/bayestar.fits,1") == names[0]
    assert name_of(gzip.compress(skymap(), 1)) == name_of(gzip.compress(skymap(), 9)) == names[0]


@pytest.mark.parametrize("name", ["x" * 60, "GRB 180116026"])
def test_long_names_are_names(name: str) -> None:
    assert name_of(skymap(OBJECT=name)) == name


def test_a_packed_map_that_breaks_off() -> None:
    packed = gzip.compress(skymap())
    with pytest.raises(DecodeError, match=r"sky map bayestar\.fits\.gz is truncated or damaged"):
        fitsmap.decode(packed[:-20], "bayestar.fits.gz")


def test_instruments() -> None:
    assert fitsmap.decode(skymap(INSTRUME="H1, L1,,V1 "), "x").revision.instruments == (
        "H1",
        "L1",
        "V1",
    )
