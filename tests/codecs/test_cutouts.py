import gzip
import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy.io import fits

from ampelstream.codecs.cutouts import MAX_SIDE, read_cutouts

_ZTF: dict[str, Any] = {
    "type": "record",
    "name": "cutout",
    "fields": [{"name": "fileName", "type": "string"}, {"name": "stampData", "type": "bytes"}],
}


def fits_bytes(image: Any) -> bytes:
    out = io.BytesIO()
    fits.PrimaryHDU(np.asarray(image, dtype=np.float32)).writeto(out)
    return out.getvalue()


def packet(schema: Any, **cutouts: Any) -> bytes:
    fields = [{"name": name, "type": ["null", schema]} for name in cutouts]
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "alert", "fields": fields}, [cutouts])
    return out.getvalue()


def test_gzip_in_a_record_and_plain_bytes_are_read_alike() -> None:
    image = np.arange(12.0).reshape(3, 4)
    ztf = gzip.compress(fits_bytes(image))
    of_ztf = read_cutouts(packet(_ZTF, cutoutScience={"fileName": "x", "stampData": ztf}))
    of_rubin = read_cutouts(packet("bytes", cutoutScience=fits_bytes(image)))
    assert list(of_ztf) == list(of_rubin) == ["Science"]
    # FITS begins with the lowest row
    np.testing.assert_array_equal(of_ztf["Science"], image[::-1])
    np.testing.assert_array_equal(of_rubin["Science"], image[::-1])


def test_what_is_absent_damaged_or_no_image_is_left_out() -> None:
    good = fits_bytes(np.ones((2, 2)))
    found = read_cutouts(
        packet("bytes", cutoutScience=None, cutoutTemplate=b"\x1f\x8bxx", cutoutDifference=good)
    )
    assert list(found) == ["Difference"]
    assert read_cutouts(packet("bytes", cutoutScience=b"nonsense")) == {}
    assert read_cutouts(packet("bytes", cutoutScience=fits_bytes(np.ones(5)))) == {}
    assert read_cutouts(b"Obj\x01") == {}
    assert read_cutouts(b"") == {}


def test_a_bomb_is_not_inflated_and_of_a_large_image_the_middle_is_taken() -> None:
    bomb = gzip.compress(fits_bytes(np.zeros((4000, 4000))))
    assert read_cutouts(packet("bytes", cutoutScience=bomb)) == {}
    large = read_cutouts(packet("bytes", cutoutScience=fits_bytes(np.ones((300, 200)))))
    assert large["Science"].shape == (MAX_SIDE, MAX_SIDE)


@pytest.mark.realdata
@pytest.mark.parametrize(("folder", "side"), [("ztf/sn2021rhu", 63), ("lsst/fink-v7_4", None)])
def test_real_packets(data_dir: Path, folder: str, side: int | None) -> None:
    path = min((data_dir / folder).glob("*.avro"))
    found = read_cutouts(path.read_bytes())
    assert list(found) == ["Science", "Template", "Difference"]
    for image in found.values():
        assert np.isfinite(image).any()
        assert side is None or image.shape == (side, side)
