"""The forms that sky maps come in: one sky however it is written, or an error in words."""

import gzip
import io
from pathlib import Path
from typing import Any

import healpy as hp
import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import fitsmap
from ampelstream.errors import AmpelstreamError, SkyMapError
from ampelstream.sky.skymap import SkyMap

ORDER = 4
DEG2 = (180 / np.pi) ** 2
RNG = np.random.default_rng(11)
RA, DEC = RNG.uniform(0, 360, 200), np.degrees(np.arcsin(RNG.uniform(-1, 1, 200)))


def answers(skymap: SkyMap) -> list[tuple[float | None, ...]]:
    """What the map says of positions, with a distance."""
    return [
        (one.searched_prob, one.probdensity_per_sr, one.searched_prob_vol, one.probdensity_vol)
        for one in skymap.crossmatch([(*at, 90.0) for at in zip(RA[:40], DEC[:40], strict=True)])
    ]


def same(data: bytes, reference: bytes, rel: float = 1e-9) -> SkyMap:
    """Read both, and see that they say the same."""
    skymap, other = SkyMap.from_fits(data, name="night.fits"), SkyMap.from_fits(reference)
    for mine, theirs in zip(answers(skymap), answers(other), strict=True):
        for one, another in zip(mine, theirs, strict=True):
            assert one == (None if another is None else pytest.approx(another, rel=rel))
    assert skymap.distmean == (None if other.distmean is None else pytest.approx(other.distmean))
    assert fitsmap.decode(data, "night.fits").revision.t0_jd == skymap.t_obs_jd
    return skymap


def with_hdus(data: bytes, *others: Any, behind: bool = False) -> bytes:
    """The file with other HDUs in front of its map, or behind it."""
    out = io.BytesIO()
    with fits.open(io.BytesIO(data)) as hdus:
        rest = [*hdus[1:], *others] if behind else [*others, *hdus[1:]]
        fits.HDUList([hdus[0], *rest]).writeto(out)
    return out.getvalue()


def table(name: str, values: Any, **cards: Any) -> fits.BinTableHDU:
    hdu = fits.BinTableHDU.from_columns([fits.Column(name, "D", array=values)])
    hdu.header.update(cards)
    return hdu


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_the_map_stands_anywhere(forge: Any, *, gz: bool, behind: bool) -> None:
    data = forge.multi_order(forge.sky(5, distances=True))
    others = (
        fits.ImageHDU(np.zeros((40, 40))),
        fits.CompImageHDU(np.zeros((40, 40))),
        table("FLUX", np.ones(5), **{"DATE-OBS": "1999-01-01T00:00:00"}),
        table("PROB", np.ones(5)),  # of five of something
        table("PROB", np.full(48, 1 / 48)),  # of as many as a sky has, but it does not say so
        table("EXPOSURE", np.ones(48), PIXTYPE="HEALPIX", ORDERING="RING", NSIDE=2),
    )
    moved = with_hdus(data, *others, behind=behind)
    skymap = same(gzip.compress(moved) if gz else moved, data)
    assert skymap.header["OBJECT"] == fitsmap.decode(moved, "x").revision.event_id == "S123456a"


def test_a_map_that_does_not_say_that_it_is_one(forge: Any) -> None:
    sky = forge.sky(5, deepest=ORDER).rasterised(ORDER)
    bare = forge.flat(sky, PIXTYPE=None, NSIDE=None, INDXSCHM=None)
    same(with_hdus(bare, table("FLUX", np.ones(5)), behind=True), forge.flat(sky))


@pytest.mark.parametrize(
    "cards",
    [
        {"NSIDE": 16.0},
        {"NSIDE": "16"},
        {"NSIDE": " 16.0 "},
        {"NSIDE": "1.6E1"},
        {"NSIDE": None},
        {"NSIDE": ""},
        {"NSIDE": None, "ORDER": ORDER},
        {"PIXTYPE": "healpix"},
        {"INDXSCHM": "implicit"},
        {"INDXSCHM": None},
        {"COORDSYS": "c"},
        {"COORDSYS": "Equatorial"},
    ],
)
@pytest.mark.parametrize("kind", ["D", "16D"])
@pytest.mark.parametrize("ordering", ["NESTED", "RING"])
def test_cards_in_any_spelling(forge: Any, cards: dict[str, Any], kind: str, ordering: str) -> None:
    sky = forge.sky(5, deepest=ORDER).rasterised(ORDER)
    data = forge.flat(sky, ordering=ordering, kind=kind, **cards)
    assert same(data, forge.flat(sky)).remarks == ()


@pytest.mark.parametrize(
    ("ordering", "spelled"),
    [
        ("NESTED", {"ORDERING": "nested"}),
        ("NESTED", {"ORDERING": "Nest"}),
        ("NESTED", {"ORDERING": None, "ORDER": "Nested"}),
        ("NESTED", {"ORDERING": None, "NEST": True}),
        ("RING", {"ORDERING": "Ring"}),
        ("RING", {"ORDERING": "", "ORDER": "ring"}),
        ("RING", {"ORDERING": None, "NEST": False}),
    ],
)
def test_orderings_in_any_spelling(forge: Any, ordering: str, spelled: dict[str, Any]) -> None:
    sky = forge.sky(5, deepest=ORDER).rasterised(ORDER)
    same(forge.flat(sky, ordering=ordering, **spelled), forge.flat(sky))
    same(forge.flat(sky, ordering=ordering, **spelled, NSIDE=None), forge.flat(sky))


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({"INDXSCHM": "Explicit"}, "INDXSCHM = EXPLICIT, a map of part of the sky"),
        ({"ORDERING": "NUNIQ"}, "ORDERING = 'NUNIQ'; it must be RING or NESTED"),
        ({"COORDSYS": "galactic"}, "only equatorial maps"),
        ({"TUNIT1": "K"}, "TUNIT1 = 'K' of the column PROB is no probability per pixel"),
    ],
)
def test_other_maps_are_refused_in_words(forge: Any, cards: dict[str, Any], words: str) -> None:
    with pytest.raises(SkyMapError, match=r"^sky map night\.fits: ") as caught:
        SkyMap.from_fits(forge.flat(forge.sky(5).rasterised(ORDER), **cards), name="night.fits")
    assert words in str(caught.value)


def test_a_compressed_table_is_refused_in_words(forge: Any) -> None:
    data = forge.multi_order(forge.sky(5), ZTABLE=True)
    for read in (SkyMap.from_fits, fitsmap.decode):
        with pytest.raises(AmpelstreamError, match="compressed table, which is not read"):
            read(data, name="night.fits")


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        (None, 1),
        ("sr-1", 1),
        ("1/sr", 1),
        ("deg-2", DEG2),
        ("1 / deg^2", DEG2),
        ("arcsec**-2", 3600**2 * DEG2),
    ],
)
def test_densities_in_any_unit(forge: Any, unit: str | None, scale: float) -> None:
    reference = forge.sky(5, deepest=ORDER)
    sky = forge.sky(5, deepest=ORDER)
    sky.columns["PROBDENSITY"] /= scale
    same(forge.multi_order(sky, TUNIT2=unit), forge.multi_order(reference))
    flat = reference.rasterised(ORDER)
    density = {"PROBDENSITY": flat["PROB"] * 12 * 4**ORDER / (4 * np.pi) / scale}
    for ordering in ("RING", "NESTED"):
        data = forge.flat(density, ordering=ordering, TUNIT1=unit)
        assert same(data, forge.flat(flat)).remarks == ()
    if unit is not None:  # the unit says what it is, not the name
        same(forge.flat({"PROB": density["PROBDENSITY"]}, TUNIT1=unit), forge.flat(flat))


@pytest.mark.parametrize("unit", [None, "pix-1", "1/pixel"])
@pytest.mark.parametrize("name", ["PROB", "PROBABILITY", "PROBDENSITY"])
def test_probability_per_tile(forge: Any, unit: str | None, name: str) -> None:
    sky, reference = forge.sky(5), forge.multi_order(forge.sky(5))
    values = sky.columns.pop("PROBDENSITY")
    sky.columns[name] = values * 4 * np.pi / 12 / 4.0**sky.order
    if name == "PROBDENSITY" and unit is None:
        sky.columns[name] = values
    same(forge.multi_order(sky, TUNIT2=unit), reference)


@pytest.mark.parametrize(
    ("cards", "scale"),
    [
        ({}, 1.0),
        ({"TUNIT3": "Mpc", "TUNIT4": "Mpc", "TUNIT5": "Mpc-2"}, 1.0),
        ({"TUNIT3": "Gpc", "TUNIT4": "Gpc", "TUNIT5": "Gpc-2", "DISTMEAN": 0.1}, 1e3),
        ({"TUNIT3": "kpc", "TUNIT4": "kpc", "TUNIT5": "1/kpc^2", "DISTMEAN": 1e5}, 1e-3),
        ({"TUNIT3": "Gpc"}, 1e3),
    ],
)
def test_distances_in_any_unit(forge: Any, cards: dict[str, Any], scale: float) -> None:
    sky = forge.sky(5, distances=True)
    for key, power in (("DISTMU", 1), ("DISTSIGMA", 1), ("DISTNORM", -2)):
        sky.columns[key] /= scale**power
    reference = forge.multi_order(forge.sky(5, distances=True))
    skymap = same(forge.multi_order(sky, **cards), reference)
    assert 20 < (skymap.distmean or 0) < 200
    assert skymap.remarks == ()


def test_a_distance_in_an_unknown_unit_is_refused(forge: Any) -> None:
    data = forge.multi_order(forge.sky(5, distances=True), TUNIT3="z")
    with pytest.raises(
        SkyMapError, match=r"^sky map night.fits: TUNIT3 = 'z' of the column DISTMU"
    ):
        SkyMap.from_fits(data, name="night.fits")


@pytest.mark.parametrize("value", [np.inf, np.nan, 0.0])
@pytest.mark.parametrize("cards", [{}, {"DISTMEAN": 0.0, "DISTSTD": 0.0}])
def test_no_distance_anywhere_is_no_distance(
    forge: Any, value: float, cards: dict[str, Any]
) -> None:
    sky = forge.sky(5, distances=True)
    sky.columns["DISTMU"][:] = value
    sky.columns["DISTSIGMA"][:] = 1 if np.isinf(value) else value
    sky.columns["DISTNORM"][:] = 0
    skymap = SkyMap.from_fits(forge.multi_order(sky, **cards))
    assert skymap.distmean is skymap.diststd is None
    assert skymap.distmu is None
    for ra, dec in zip(RA, DEC, strict=True):
        assert skymap.distance(ra, dec) is None
        match = skymap.at(ra, dec, 90.0)
        assert match.searched_prob_vol is match.probdensity_vol is None
    assert SkyMap.from_bytes(skymap.to_bytes()).distmean is None


def test_a_distance_only_where_there_is_no_probability(forge: Any) -> None:
    sky = forge.sky(5, distances=True)
    sky.columns["DISTMU"][sky.columns["PROBDENSITY"] > 0] = np.inf
    skymap = SkyMap.from_fits(forge.multi_order(sky))
    assert skymap.distmean is skymap.diststd is None


@pytest.mark.parametrize(("factor", "said"), [(1.0, ""), (0.995, ""), (1.004, "")])
def test_small_deviations_are_nobodys_business(forge: Any, factor: float, said: str) -> None:
    sky = forge.sky(5)
    sky.columns["PROBDENSITY"] *= factor
    skymap = SkyMap.from_fits(forge.multi_order(sky))
    assert " ".join(skymap.remarks) == said
    reference = SkyMap.from_fits(forge.multi_order(forge.sky(5)))
    assert skymap.credible_levels(RA, DEC) == pytest.approx(reference.credible_levels(RA, DEC))


@pytest.mark.parametrize("factor", [1 / DEG2, 0.98, 1.02, 1e-200, 1e200])
@pytest.mark.parametrize("distances", [False, True])
def test_a_sum_far_from_1_is_put_right_with_a_word(
    forge: Any, factor: float, *, distances: bool
) -> None:
    sky = forge.sky(5, distances=distances)
    sky.columns["PROBDENSITY"] *= factor
    skymap = same(forge.multi_order(sky), forge.multi_order(forge.sky(5, distances=distances)))
    assert skymap.remarks == (
        f"its probabilities sum to {factor:.4g} and not to 1: they were divided by that",
    )


# --- real files -----------------------------------------------------------------------------------


def read_by_others(path: Path) -> tuple[np.ndarray[Any, Any], fits.Header]:
    """Density [1/sr] at the positions, by astropy and healpy alone."""
    with fits.open(path) as hdus:
        hdu = next(one for one in hdus[1:] if isinstance(one, fits.BinTableHDU))
        names = [str(one).upper() for one in hdu.columns.names]
        header, rows = hdu.header, hdu.data
        if "UNIQ" in names:
            uniq = rows["UNIQ"].astype(np.int64)
            orders = np.array([(int(one).bit_length() - 3) // 2 for one in uniq])
            density = np.asarray(rows["PROBDENSITY"], float)
            per_sr = units.Unit(header["TUNIT2"]).to(1 / units.sr)
            found = np.zeros(len(RA))
            for order in np.unique(orders):
                pixel = hp.ang2pix(1 << order, RA, DEC, nest=True, lonlat=True)
                known = {int(one) - 4 * 4 ** int(order): n for n, one in enumerate(uniq)}
                for place, one in enumerate(pixel):
                    row = known.get(int(one))
                    if row is not None and orders[row] == order:
                        found[place] = density[row] * per_sr
            return found, header
        prob = np.asarray(rows.field(0), float).ravel()
    nside = hp.npix2nside(len(prob))
    nest = header["ORDERING"] == "NESTED"
    pixel = hp.ang2pix(nside, RA, DEC, nest=nest, lonlat=True)
    return prob[pixel] / hp.nside2pixarea(nside), header


REPORTED = [
    "fits-cards/date-without-time.fits.gz",
    "fits-cards/mjd-obs-only.fits.gz",
    "map-in-extension-2/image-first.fits.gz",
    "units/a-sr-Mpc.fits.gz",
    "units/b-deg2-Mpc.fits.gz",
]


@pytest.mark.realdata
@pytest.mark.parametrize("name", REPORTED)
def test_files_that_were_reported(data_dir: Path, name: str) -> None:
    path = data_dir / "reports" / name
    skymap = SkyMap.from_file(path)
    density, header = read_by_others(path)
    found = [skymap.at(*at).probdensity_per_sr for at in zip(RA, DEC, strict=True)]
    assert found == pytest.approx(density, rel=1e-9)
    assert skymap.remarks == ()
    t0 = Time("2024-01-14T23:00:00", scale="utc").jd
    assert skymap.t_obs_jd == pytest.approx(t0, abs=1e-8)
    revision = fitsmap.decode(path.read_bytes(), path.name).revision
    assert revision.t0_jd == skymap.t_obs_jd
    assert revision.event_id == header["OBJECT"] == "S240114zz"
    created = {"date-without": "2024-01-14T00:00:00Z", "mjd-obs-onl": "2024-01-14T23:05:00Z"}
    if path.name[:11] in created:
        assert revision.time_created == created[path.name[:11]]
    assert revision.key[0] == Time(revision.time_created[:-1], scale="utc").jd


@pytest.mark.realdata
def test_the_same_map_in_two_units(data_dir: Path) -> None:
    folder = data_dir / "reports" / "units"
    ours = [SkyMap.from_file(folder / f"{one}-Mpc.fits.gz") for one in ("a-sr", "b-deg2")]
    files = [(folder / f"{one}-Mpc.fits.gz").read_bytes() for one in ("a-sr", "b-deg2")]
    same(files[0], files[1])
    assert ours[0].area(0.9) == pytest.approx(ours[1].area(0.9), rel=1e-9)
    assert ours[0].distmean == pytest.approx(ours[1].distmean, rel=1e-9)


@pytest.mark.realdata
def test_published_maps_say_what_healpy_reads(data_dir: Path) -> None:
    paths = sorted((data_dir / "skymaps").iterdir())
    assert len(paths) == 6
    for path in paths:
        density, header = read_by_others(path)
        skymap = SkyMap.from_file(path)
        found = [skymap.at(*at).probdensity_per_sr for at in zip(RA, DEC, strict=True)]
        assert found == pytest.approx(density, rel=1e-6), path.name
        assert skymap.remarks == ()
        if "DATE-OBS" in header:
            when = Time(header["DATE-OBS"], scale="utc").jd
            assert skymap.t_obs_jd == pytest.approx(when, abs=1e-8)


# --- no bytes raise anything but our errors -------------------------------------------------------

KEYS = (
    *("NSIDE", "ORDERING", "ORDER", "INDXSCHM", "COORDSYS", "PIXTYPE", "NEST", "DATE-OBS"),
    *("MJD-OBS", "DATE", "TIMESYS", "TUNIT1", "TUNIT2", "TUNIT3", "TTYPE1", "TTYPE2", "OBJECT"),
    *("DISTMEAN", "DISTSTD", "TSCAL2", "TZERO2", "TNULL1", "INSTRUME", "CREATOR", "OBJ_CLAS"),
)
VALUES = (
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.sampled_from(
        ["RING", "NESTED", "sr-1", "deg-2", "Gpc", "pix-1", "2024-01-14", "C", "UNIQ"]
    )
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_cards_give_a_map_or_our_error(
    forge: Any,
    cards: dict[str, Any],
    multi_order: bool,  # noqa: FBT001  (drawn)
) -> None:
    sky = forge.sky(5, deepest=1, distances=True)
    data = forge.flat(sky.rasterised(1)) if not multi_order else forge.multi_order(sky)
    with fits.open(io.BytesIO(data)) as hdus:
        for key, value in cards.items():
            try:
                hdus[1].header[key] = value
            except (ValueError, AttributeError):
                return  # astropy does not write it
        text = hdus[1].header.tostring().encode("ascii")
    begin = data.index(b"XTENSION")
    end = begin + -(-(data.index(b"END     ", begin) + 80 - begin) // 2880) * 2880
    changed = data[:begin] + text + data[end:]
    try:
        skymap = SkyMap.from_fits(changed, name="night.fits")
        assert np.all((skymap.level >= 0) & (skymap.level <= 1))
        assert skymap.distmean is None or skymap.distmean > 0
    except SkyMapError as error:
        assert "night.fits" in str(error)  # noqa: PT017  (either is right)
    try:
        assert fitsmap.decode(changed, "night.fits").revision.key
    except AmpelstreamError as error:
        assert "night.fits" in str(error)  # noqa: PT017  (either is right)
