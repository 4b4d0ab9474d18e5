"""One way in for the alerts of every survey."""

import msgspec
import pytest

from ampelstream.codecs import alerts, ztf
from ampelstream.errors import DecodeError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord, record_bytes
from ampelstream.simulate import simulate_packets

ZTF_ROW = {
    "objectId": "ZTF24aaaaaaa",
    "candid": 9,
    "candidate": {"jd": 2460000.5, "ra": 1.0, "dec": 2.0, "magpsf": 18.0, "fid": 1},
    "prv_candidates": None,
}
RUBIN_ROW = {
    "diaSourceId": 170112044704464914,
    "diaSource": {
        "diaSourceId": 170112044704464914,
        "diaObjectId": 313875416793743402,
        "midpointMjdTai": 61109.25,
        "ra": 150.0,
        "dec": 2.0,
        "psfFlux": 1000.0,
        "psfFluxErr": 10.0,
        "band": "y",
    },
}


def test_a_packet_of_ztf() -> None:
    packet = simulate_packets(1, seed=4)[0]
    one, other = alerts.decode(packet), ztf.decode(packet)
    assert repr(one) == repr(other)
    assert alerts.datapoints(one) == ztf.datapoints(other)


@pytest.mark.parametrize("row", [ZTF_ROW, RUBIN_ROW])
def test_a_row_travels_as_json(row: dict[str, object]) -> None:
    record = SourceRecord(Coordinates("a.parquet", 0, 0), "alerts", row, "a.parquet")
    plain, travelled = alerts.decode(row), alerts.decode(record_bytes(record))
    assert repr(plain) == repr(travelled)
    assert travelled.survey == ("ztf" if row is ZTF_ROW else "lsst")
    assert alerts.datapoints(plain) == alerts.datapoints(travelled)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "empty"),
        (b"hello", "not an Avro container"),
        (b"\0\0", "wire format"),
        (b"{", "no JSON"),
        (b"{}", "no candidate"),
        (b'{"a": "\xff"}', "no JSON"),
        (b'{"a":' + b"[" * 5000, "no JSON"),
        (msgspec.json.encode({"diaSource": 5}), "no diaSource"),
        ({}, "no candidate"),
    ],
)
def test_what_is_no_alert(value: bytes | dict[str, object], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        alerts.decode(value)
