"""The fields that are said of a survey are those of its packets."""

from pathlib import Path

import pytest

from ampelstream.codecs.alertfields import ALERT_FIELDS
from ampelstream.codecs.alerts import decode
from ampelstream.codecs.lsst.datapoints import FIELDS as RUBIN_MEASURED
from ampelstream.codecs.ztf.datapoints import FIELDS as ZTF_MEASURED
from ampelstream.errors import AmpelstreamError
from ampelstream.simulate import simulate_packets
from ampelstream.units.filters.decent import DecentFilter

KINDS = {"number": (int, float), "truth": (bool,), "text": (str,)}


def check(survey: str, candidate: object) -> None:
    assert isinstance(candidate, dict)
    known = ALERT_FIELDS[survey]
    strange = {
        name: value
        for name, value in candidate.items()
        if name not in known or not isinstance(value, (*KINDS[known[name].kind], type(None)))
    }
    assert strange == {}


def test_what_is_read_is_known() -> None:
    assert set(ZTF_MEASURED) <= set(ALERT_FIELDS["ztf"])
    assert set(RUBIN_MEASURED) <= set(ALERT_FIELDS["lsst"])
    assert DecentFilter().asks().fields <= set(ALERT_FIELDS["ztf"])


def test_simulated_packets_have_no_other_fields() -> None:
    for packet in simulate_packets(20):
        check("ztf", decode(packet).candidate)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("survey", "folder"),
    [("ztf", "ztf"), ("lsst", "lsst/fink-v7_4"), ("lsst", "lsst/fink-v9_0")],
)
def test_real_packets_have_no_other_fields(data_dir: Path, survey: str, folder: str) -> None:
    seen = 0
    for path in sorted((data_dir / folder).rglob("*.avro"))[::5]:
        try:
            alert = decode(path.read_bytes())
        except AmpelstreamError:
            continue  # what is no alert is the matter of other tests
        check(survey, alert.candidate)
        seen += 1
    assert seen >= 5
