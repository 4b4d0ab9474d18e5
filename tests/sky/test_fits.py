import gzip
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import fitsmap
from ampelstream.errors import DecodeError, SkyMapError
from ampelstream.sky.fits import read_fits
from ampelstream.sky.skymap import SkyMap

ORDER = 4
RNG = np.random.default_rng(7)
POSITIONS = (RNG.uniform(0, 360, 500), np.degrees(np.arcsin(RNG.uniform(-1, 1, 500))))


def encodings(forge: Any, *, distances: bool) -> dict[str, SkyMap]:
    """One sky in every encoding."""
    sky = forge.sky(11, distances=distances, deepest=ORDER)
    flat = sky.rasterised(ORDER)
    density = flat.copy()
    density["PROBDENSITY"] = density.pop("PROB") * 12 * 4**ORDER / (4 * np.pi)
    probability = {("PROBABILITY" if key == "PROB" else key): v for key, v in flat.items()}
    files = {
        "multi-order": forge.multi_order(sky),
        "multi-order, gzipped": forge.multi_order(sky, gz=True),
        "nested": forge.flat(flat),
        "nested, gzipped": forge.flat(flat, gz=True),
        "nested, NEST, ICRS": forge.flat(flat, ORDERING="NEST", COORDSYS="ICRS"),
        "nested, 16D, PROBABILITY": forge.flat(probability, kind="16D"),
        "nested, density": forge.flat(density),
        "ring": forge.flat(flat, ordering="RING"),
        "ring, 1024D": forge.flat(flat, ordering="RING", kind="1024D"),
        "ring, density, gzipped": forge.flat(density, ordering="RING", gz=True),
        "nested, single precision": forge.flat(flat, kind="E"),
    }
    return {key: SkyMap.from_fits(data, name=key) for key, data in files.items()}


@pytest.mark.parametrize("distances", [False, True])
def test_all_encodings_of_a_sky_answer_alike(forge: Any, *, distances: bool) -> None:
    maps = encodings(forge, distances=distances)
    reference = maps["multi-order"]
    for key, skymap in maps.items():
        rel = 1e-5 if "single" in key else 1e-10
        got = skymap.credible_levels(*POSITIONS)
        assert got == pytest.approx(reference.credible_levels(*POSITIONS), rel=rel), key
        for level in (0.1, 0.5, 0.9, 0.99):
            assert skymap.area(level) == pytest.approx(reference.area(level), rel=rel), key
        for ra, dec in zip(*(axis[:20] for axis in POSITIONS), strict=True):
            mine, theirs = (one.at(ra, dec, 90.0) for one in (skymap, reference))
            assert mine.probdensity_per_sr == pytest.approx(theirs.probdensity_per_sr, rel=rel)
            if not distances:
                assert mine.searched_prob_vol is mine.probdensity_vol is None
                continue
            assert mine.searched_prob_vol == pytest.approx(theirs.searched_prob_vol, rel=20 * rel)
            assert mine.probdensity_vol == pytest.approx(theirs.probdensity_vol, rel=100 * rel)


def test_a_flat_map_has_no_more_tiles_than_the_one_it_was_made_from(forge: Any) -> None:
    sky = forge.sky(3, deepest=ORDER)
    skymap = SkyMap.from_fits(forge.flat(sky.rasterised(ORDER)))
    assert len(skymap.order) <= len(sky.order) < 12 * 4**ORDER


def test_the_header_is_that_of_the_table_without_commentary(forge: Any) -> None:
    data = forge.multi_order(forge.sky(1), DISTMEAN=40.5, MOC=True, COMMENT="chatter")
    header = read_fits(data, "map").header
    assert header["OBJECT"] == "S123456a"
    assert header["DISTMEAN"] == 40.5
    assert header["MOC"] == "T"
    assert "COMMENT" not in header


def test_unequal_capitals_and_other_tables_do_not_matter(forge: Any) -> None:
    sky = forge.sky(1)
    with fits.open(_stream(forge.multi_order(sky))) as hdus:
        columns = [
            fits.Column(str(name).lower(), column.format, array=hdus[1].data[name])
            for name, column in zip(hdus[1].columns.names, hdus[1].columns, strict=True)
        ]
    other = fits.BinTableHDU.from_columns([fits.Column("NOTE", "8A", array=["x"])])
    ours = fits.BinTableHDU.from_columns(columns)
    skymap = SkyMap.from_fits(_bytes(fits.HDUList([fits.PrimaryHDU(), other, ours])))
    assert np.array_equal(skymap.level, SkyMap.from_fits(forge.multi_order(sky)).level)


def _stream(data: bytes) -> Any:
    from io import BytesIO  # noqa: PLC0415  (used here only)

    return BytesIO(data)


def _bytes(hdus: fits.HDUList) -> bytes:
    stream = _stream(b"")
    hdus.writeto(stream)
    data: bytes = stream.getvalue()
    return data


def flat_with(forge: Any, **cards: str | float | None) -> bytes:
    data: bytes = forge.flat(forge.sky(1).rasterised(ORDER), **cards)
    return data


def value_of(forge: Any, value: float) -> bytes:
    prob = np.full(12 * 4, 1 / 48)
    prob[17] = value
    data: bytes = forge.flat({"PROB": prob})
    return data


def no_column(forge: Any) -> bytes:
    data: bytes = forge.flat({"SIGNIFICANCE": np.ones(48)})
    return data


def uniq_alone(forge: Any) -> bytes:
    column = fits.Column("UNIQ", "K", array=np.arange(4, 16))
    data: bytes = forge.table([column], {"ORDERING": "NUNIQ"})
    return data


def half_a_distance(forge: Any) -> bytes:
    data: bytes = forge.flat({"PROB": np.ones(48), "DISTMU": np.ones(48)})
    return data


def no_rows(forge: Any) -> bytes:
    columns = [
        fits.Column(key, kind, array=[]) for key, kind in [("UNIQ", "K"), ("PROBDENSITY", "D")]
    ]
    data: bytes = forge.table(columns, {})
    return data


def text_column(forge: Any) -> bytes:
    data: bytes = forge.table(
        [fits.Column("PROB", "1A", array=["x"] * 48)],
        {"PIXTYPE": "HEALPIX", "ORDERING": "NESTED", "NSIDE": 2},
    )
    return data


def plain_image(_: Any) -> bytes:
    return _bytes(fits.HDUList([fits.PrimaryHDU(np.zeros((4, 4)))]))


def other_table(forge: Any) -> bytes:
    data: bytes = forge.table([fits.Column("FLUX", "D", array=np.ones(48))], {})
    return data


MALFORMED: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "empty": (lambda _: b"", "is empty"),
    "not FITS": (lambda _: b'{"no": "fits"}', "not FITS"),
    "gzip of something else": (lambda _: gzip.compress(b"hello"), "truncated or damaged"),
    "gzip cut off": (lambda f: f.flat({"PROB": np.ones(48)}, gz=True)[:200], "truncated"),
    "header cut off": (lambda f: flat_with(f)[:4000], "truncated"),
    "data cut off": (lambda f: flat_with(f)[:-2880], "truncated or damaged"),
    "an image": (plain_image, "no HEALPix table"),
    "another table": (other_table, r"no HEALPix table \(its tables: FLUX\)"),
    "Galactic": (lambda f: flat_with(f, COORDSYS="G"), "COORDSYS = 'G'.*rotate it to ICRS"),
    "ecliptic": (lambda f: flat_with(f, COORDSYS="E"), "COORDSYS = 'E'"),
    "no NSIDE": (
        lambda f: f.flat({"PROB": np.ones(47)}, NSIDE=None),
        r"no NSIDE, and its 47 pixels .* \(12 \* NSIDE\*\*2\); add NSIDE",
    ),
    "NSIDE a word": (lambda f: flat_with(f, NSIDE="fine"), "NSIDE = 'fine'; it must be a power"),
    "NSIDE a fraction": (lambda f: flat_with(f, NSIDE=2.5), "NSIDE = 2.5; it must be a power"),
    "NSIDE beyond all": (lambda f: flat_with(f, NSIDE="1e300"), "NSIDE = '1e300'; it must be"),
    "NSIDE no power of two": (lambda f: flat_with(f, NSIDE=12), "NSIDE = 12; it must be a power"),
    "NSIDE and rows disagree": (
        lambda f: flat_with(f, NSIDE=8),
        "NSIDE = 8 wants 768 .* have 3072",
    ),
    "no ORDERING": (lambda f: flat_with(f, ORDERING=None), "ORDERING = None"),
    "part of the sky": (lambda f: flat_with(f, INDXSCHM="EXPLICIT"), "INDXSCHM = EXPLICIT"),
    "nan": (lambda f: value_of(f, np.nan), "PROB is nan in row 17"),
    "infinite": (lambda f: value_of(f, np.inf), "PROB is inf in row 17"),
    "negative": (lambda f: value_of(f, -1e-9), "PROB is -1e-09 in row 17"),
    "too much": (lambda f: f.flat({"PROB": np.full(48, 1e307)}), "of the whole sky is inf"),
    "all zero": (lambda f: f.flat({"PROB": np.zeros(48)}), "of the whole sky is 0;"),
    "no probability": (no_column, "none of the columns PROB, PROBABILITY and PROBDENSITY"),
    "UNIQ alone": (uniq_alone, "UNIQ but not PROBDENSITY"),
    "distance in part": (half_a_distance, "DISTMU but not DISTSIGMA, DISTNORM"),
    "no rows": (no_rows, "no rows"),
    "text": (text_column, "PROB holds no numbers"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_are_refused_by_name(forge: Any, case: str) -> None:
    build, message = MALFORMED[case]
    with pytest.raises(SkyMapError, match=f"^sky map night.fits.*{message}"):
        SkyMap.from_fits(build(forge), name="night.fits")


def test_a_negative_length_is_no_endless_loop() -> None:
    # the data take back the 2880 bytes of their header, and astropy 8.0 reads it for ever
    data = _bytes(fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros(360))]))
    poison = data.replace(b"NAXIS1  =                  360", b"NAXIS1  =                 -360")
    assert poison != data
    with pytest.raises(SkyMapError, match="sky map poison is damaged"):
        SkyMap.from_fits(poison, name="poison")


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_mangled_bytes_give_a_map_or_our_error(forge: Any, data: st.DataObject) -> None:
    whole = bytearray(forge.multi_order(forge.sky(5, deepest=1)))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(
            st.integers(0, 255) | st.sampled_from(list(b"0123456789 '-TDEJK"))
        )
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        with suppress(DecodeError):
            assert fitsmap.decode(damaged, "night.fits").revision.key
        try:
            level = SkyMap.from_fits(damaged).level
        except SkyMapError:
            continue
        assert np.all((level >= 0) & (level <= 1))


@given(st.binary(max_size=400), st.booleans())
@settings(deadline=None)
def test_any_bytes_at_all(tail: bytes, packed: bool) -> None:  # noqa: FBT001  (drawn)
    data = b"SIMPLE  =                    T".ljust(80) + tail
    data = gzip.compress(data) if packed else data
    with pytest.raises(SkyMapError, match=r"^sky map night\.fits"):
        SkyMap.from_fits(data, name="night.fits")
    with pytest.raises(DecodeError, match=r"^sky map night\.fits"):
        fitsmap.decode(data, "night.fits")
