"""All real notices become events, with what stands in them."""

from pathlib import Path

import pytest

from ampelstream.codecs import notices
from ampelstream.model.times import jd_from_iso
from tests.codecs.expected_notices import GCN, VOEVENTS, Expected

pytestmark = pytest.mark.realdata


def check(path: Path, expected: Expected) -> None:
    said = notices.decode(path.read_bytes(), path.name).revision
    assert said.t0_jd is not None
    assert said.t0_jd == pytest.approx(jd_from_iso(expected.trigger), abs=1e-9)
    found = (said.event_id, said.kind, said.alert_type, said.ra, said.dec, said.ra_dec_error)
    assert found == expected[1:4] + expected[5:]
    assert not said.test
    assert bool(said.skymap_digest) == (expected.error is not None)


@pytest.mark.parametrize("expected", VOEVENTS, ids=lambda one: one.file)
def test_a_voevent_says_what_stands_in_it(data_dir: Path, expected: Expected) -> None:
    check(data_dir / "notices" / "voevent" / expected.file, expected)


@pytest.mark.parametrize("expected", GCN, ids=lambda one: one.file)
def test_a_notice_of_the_unified_schema_says_what_stands_in_it(
    data_dir: Path, expected: Expected
) -> None:
    check(data_dir / "notices" / "gcn" / expected.file, expected)


def test_there_is_a_row_for_each_file(data_dir: Path) -> None:
    for folder, rows in (("voevent", VOEVENTS), ("gcn", GCN)):
        files = sorted(path.name for path in (data_dir / "notices" / folder).iterdir())
        assert sorted(one.file for one in rows) == files


def test_facts_to_select_by_are_there(data_dir: Path) -> None:
    gold = notices.decode((data_dir / "notices/voevent/AMON_ICECUBE_GOLD_190730.xml").read_bytes())
    assert (gold.revision.signalness, gold.revision.energy) == (0.6716, 298.8134)
    assert gold.revision.far == pytest.approx(0.6770 / (365.25 * 86400))
    assert gold.revision.containment == 0.9
    assert gold.revision.properties["src_error_50"] == 0.6624
    short = notices.decode((data_dir / "notices/voevent/727009399-36.xml").read_bytes())
    assert (short.revision.mission, short.revision.instrument) == ("Fermi", "GBM")
    assert short.revision.duration_class == "SHORT"
    assert short.ellipses[0].semi_major == pytest.approx((4.44**2 + 3.7**2) ** 0.5)
    named = notices.decode((data_dir / "notices/voevent/icecube-825.xml").read_bytes())
    assert str(named.revision.skymap_url).endswith("evt000025590129.fits")
    flight = data_dir / "notices/gcn/fermi_gbm_trigger.flight1.example.json"
    assert notices.decode(flight.read_bytes()).ellipses[0].semi_major == 8.32  # it is in there
