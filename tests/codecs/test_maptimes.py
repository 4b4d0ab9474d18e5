"""When a map's event was, in every way that headers say it."""

import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import fitsmap
from ampelstream.codecs.fitsheader import sky_map_table
from ampelstream.codecs.maptimes import observed
from ampelstream.errors import DecodeError

JD = 2460324.4583333335
"""2024-01-14, 23 h UTC."""


def skymap(cards: dict[str, Any], primary: dict[str, Any] | None = None) -> bytes:
    """A flat map of 12 pixels."""
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=np.full(12, 1 / 12))])
    table.header["PIXTYPE"] = "HEALPIX"
    first = fits.PrimaryHDU()
    for header, given_cards in ((table.header, cards), (first.header, primary or {})):
        for name, value in given_cards.items():
            header[name] = value
    out = io.BytesIO()
    fits.HDUList([first, table]).writeto(out)
    return out.getvalue()


def time_of(cards: dict[str, Any], primary: dict[str, Any] | None = None) -> tuple[float, str]:
    found = observed(sky_map_table(skymap(cards, primary))[1])
    assert found.jd is not None, found
    revision = fitsmap.decode(skymap(cards, primary), "night.fits").revision
    assert revision.t0_jd == found.jd
    assert revision.key  # its time of creation is one
    return found.jd, found.remark


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2024-01-14T23:00:00"},
        {"DATE-OBS": "2024-01-14T23:00:00Z"},
        {"DATE-OBS": "2024-01-14T23:00:00+00:00"},
        {"DATE-OBS": "2024-01-15T01:00:00.000+02:00"},
        {"DATE-OBS": " 2024-01-14 23:00:00.0000000 "},
        {"DATE-OBS": "2024-01-14T23:00:00 UTC"},
        {"DATE-OBS": "2024-01-14T23"},
        {"MJD-OBS": 60323.958333333336},
        {"MJD-OBS": "60323.958333333336"},
        {"DATE-OBS": "", "MJD-OBS": 60323.958333333336},
        {"DATE-OBS": "2024-01-14", "MJD-OBS": 60323.958333333336},
        {"DATE-OBS": "2024-01-14T23:01:09.184", "TIMESYS": "TT"},
        {"DATE-OBS": "2024-01-14T23:00:37", "TIMESYS": "tai"},
        {"DATE-OBS": "2024-01-14T23:00:18", "TIMESYS": "GPS"},
        {"MJD-OBS": 60323.958333333336 + 69.184 / 86400, "TIMESYS": "TDB"},
    ],
)
def test_spellings_of_one_time(cards: dict[str, Any]) -> None:
    jd, remark = time_of(cards)
    assert jd == pytest.approx(JD, abs=1e-8)
    assert remark == ""
    # of the file's first header where the table says nothing
    assert time_of({}, cards)[0] == jd


@pytest.mark.parametrize(
    "date", ["", "2024-01-14", "2024-01-14T23:05:00", "2024-01-14T23:05:00+00:00"]
)
def test_date_with_and_without_a_time(date: str) -> None:
    cards = {"DATE-OBS": "2024-01-14T23:00:00"} | ({"DATE": date} if date else {})
    revision = fitsmap.decode(skymap(cards), "night.fits").revision
    assert revision.time_created == {
        "": "2024-01-14T23:00:00Z",
        "2024-01-14": "2024-01-14T00:00:00Z",
    }.get(date, "2024-01-14T23:05:00Z")
    assert revision.key[0] == Time(revision.time_created[:-1], scale="utc").jd


def test_a_map_that_only_knows_its_mjd_was_made_then() -> None:
    revision = fitsmap.decode(skymap({"MJD-OBS": 60323.958333333336}), "night.fits").revision
    assert revision.time_created == "2024-01-14T23:00:00.000Z"


def test_a_leap_second() -> None:
    assert time_of({"DATE-OBS": "2016-12-31T23:59:60.5"})[0] == pytest.approx(
        2457754.5 + 0.5 / 86400
    )


def test_what_is_odd_is_remarked() -> None:
    assert time_of({"DATE-OBS": "2024-01-14"}) == (
        2460323.5,
        "DATE-OBS = 2024-01-14 has no time of day: taken as 00:00",
    )
    jd, remark = time_of({"DATE-OBS": "14/01/24", "MJD-OBS": 60323.958333333336})
    assert jd == pytest.approx(JD)
    assert remark == "DATE-OBS = '14/01/24' is no ISO 8601 time of this age; MJD-OBS counts"


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({}, "no DATE-OBS: without a trigger time"),
        (
            {"DATE-OBS": "soon"},
            "DATE-OBS = 'soon' is no ISO 8601 time of this age. Without a trigger",
        ),
        ({"DATE-OBS": "0001-01-01T00:00:00+23:59"}, "no ISO 8601 time of this age"),
        ({"DATE-OBS": "9999-12-31"}, "no ISO 8601 time of this age"),
        ({"MJD-OBS": 2460324.45}, "MJD-OBS = '2460324.45' is no modified Julian date of this age"),
        ({"MJD-OBS": 0.0}, "no modified Julian date"),
        ({"MJD-OBS": 1e300}, "no modified Julian date"),
        ({"MJD-OBS": "nan"}, "no modified Julian date"),
        ({"DATE-OBS": "2024-01-14T23:00:00", "TIMESYS": "LOCAL"}, "TIMESYS = 'LOCAL' is no scale"),
        ({"DATE-OBS": "1990-01-14T23:00:00", "TIMESYS": "TT"}, "no ISO 8601 time of this age"),
        (
            {"DATE-OBS": "2024-01-14T23:00:00", "DATE": "14/01/24"},
            "DATE = '14/01/24' is no ISO 8601 time; put it right",
        ),
    ],
)
def test_what_is_no_time_is_refused_in_words(cards: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=r"^sky map night\.fits") as caught:
        fitsmap.decode(skymap(cards), "night.fits")
    assert words in str(caught.value)


def test_the_begin_of_an_interval_is_no_trigger_time() -> None:
    begin = {"DATE-OBS": "2018-01-16T00:34:43", "DATE-END": "2018-01-16T00:44:58"}
    with pytest.raises(DecodeError, match="has no DATE-OBS: without"):
        fitsmap.decode(skymap({}, begin), "night.fits")


def test_the_trigger_time_of_fermi() -> None:
    cards = {
        "DATE-OBS": "2018-01-16T00:34:43",
        "DATE-END": "2018-01-16T00:44:58",
        "TIMESYS": "TT",
        "MJDREFI": 51910,
        "MJDREFF": "7.428703703703703e-4",
        "TRIGTIME": 537755817.807014,
        "OBJ_CLAS": "GRB",
        "OBJECT": "GRB180116026",
    }
    jd, _ = time_of({}, cards)
    terrestrial = Time(
        51910 + 7.428703703703703e-4, 537755817.807014 / 86400, format="mjd", scale="tt"
    )
    assert jd == pytest.approx(terrestrial.utc.jd, abs=1e-8)
    revision = fitsmap.decode(skymap({}, cards), "night.fits").revision
    assert (revision.event_id, revision.kind) == ("GRB180116026", "grb")
    with pytest.raises(DecodeError, match="has no DATE-OBS"):  # Swift: its clock is corrected later
        fitsmap.decode(skymap({}, cards | {"UTCFINIT": -21.5}), "night.fits")


CARD = st.text(alphabet="0123456789-:TZ+. eE", max_size=30) | st.floats(
    allow_nan=False, allow_infinity=False
)


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(
            ["DATE-OBS", "MJD-OBS", "DATE", "TIMESYS", "TRIGTIME", "MJDREFI", "MJDREFF"]
        ),
        CARD | st.sampled_from(["TT", "UTC", "2024-01-14", "2016-12-31T23:59:60"]),
    )
)
def test_any_cards_give_a_time_or_our_error(cards: dict[str, Any]) -> None:
    for data in (skymap(cards), skymap({}, cards)):
        try:
            revision = fitsmap.decode(data, "night.fits").revision
        except DecodeError:
            continue
        assert revision.key
        assert revision.t0_jd is not None
        assert 2415020.5 <= revision.t0_jd < 2500000.5
