import logging
from pathlib import Path

import msgspec
import pytest

from ampelstream.codecs import alerts
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.embedded.stampfinder import stamps_from
from ampelstream.sources import open_source

PNG = b"\x89PNG\r\n\x1a\n"


def candidate(*places: tuple[int, Coordinates]) -> Candidate:
    origin = Provenance(
        topology="t",
        topology_version="1",
        topology_hash="0",
        lightcurve_digest="0",
        event_revision="r",
        event_digest="0",
        alerts=tuple(candid for candid, _ in places),
        records=(*(where for _, where in places), Coordinates("notices", 0, 0)),
    )
    return Candidate("o", "e", "c", CandidateStatus.ACTIVE, origin)


@pytest.mark.realdata
def test_the_cutouts_of_the_latest_detection(data_dir: Path) -> None:
    folder = data_dir / "ztf/sn2021rhu"
    source = open_source(folder, "alerts")
    decoded = [(alerts.decode(one.value), one.where) for one in source.read({})]
    latest, _ = max(decoded, key=lambda one: one[0].jd)
    one = candidate(*sorted((alert.candid, where) for alert, where in decoded))
    own = [point for point in alerts.datapoints(latest) if point.id == latest.candid]
    one = msgspec.structs.replace(one, lightcurve=tuple(own))
    stamps = stamps_from([source])([one])[one.key]
    assert [stamp.kind for stamp in stamps] == ["Science", "Template", "Difference"]
    for stamp in stamps:
        assert stamp.png.startswith(PNG)
        assert len(stamp.png) < 10_000
        assert stamp.note.startswith(f"Alert {latest.candid}, 2021-")


def test_a_file_that_is_gone_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "night.avro"
    path.write_bytes(b"Obj\x01")
    source = open_source(path, "alerts")
    path.unlink()
    one = candidate((1, Coordinates("night.avro", 0, 0)))
    with caplog.at_level(logging.INFO):
        assert stamps_from([source])([one]) == {}
    assert "lacks the cutouts of 1 alert" in caplog.text


def test_rows_of_tables_are_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "night.parquet"
    path.write_bytes(b"not read")
    one = candidate((1, Coordinates("night.parquet", 0, 0)))
    assert stamps_from([open_source(path, "alerts")])([one]) == {}
    assert stamps_from([])([candidate()]) == {}
