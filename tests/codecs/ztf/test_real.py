"""What is decoded lazily equals what fastavro decodes whole, on every real packet."""

import io
from pathlib import Path

import fastavro
import pytest

from ampelstream.codecs.ztf import datapoints, decode
from ampelstream.errors import DecodeError

pytestmark = pytest.mark.realdata


def test_every_packet_of_every_schema(data_dir: Path) -> None:
    files = sorted((data_dir / "ztf").rglob("*.avro"))
    assert len(files) > 700
    for path in files:
        data = path.read_bytes()
        whole = next(fastavro.reader(io.BytesIO(data)))
        assert isinstance(whole, dict)
        alert = decode(data)
        history = whole.get("prv_candidates") or []
        seen = [entry["jd"] for entry in history if entry.get("candid") is not None]
        assert alert.object_id == whole["objectId"]
        assert alert.candid == whole["candid"]
        # repr, because NaN is not equal to itself
        assert repr(dict(alert.candidate)) == repr(whole["candidate"]), path
        assert list(alert.history.epochs()) == seen, path
        assert repr(list(alert.history.points())) == repr(history), path
        assert repr(list(alert.history.forced())) == repr(whole.get("fp_hists") or []), path
        points = datapoints(alert)
        assert points[-1].own
        assert points[-1].id == alert.candid
        assert sum(point.is_detection for point in points) <= len(seen) + 1


def test_malformed_files_end_as_an_error_or_a_record(data_dir: Path) -> None:
    outcomes: dict[str, str] = {}
    for path in sorted((data_dir / "malformed").iterdir()):
        try:
            alert = decode(path.read_bytes())
            datapoints(alert)
        except DecodeError as error:
            outcomes[path.name] = str(error)
        else:
            outcomes[path.name] = "decoded"
    assert len(outcomes) == 26
    # a lost sync marker and junk behind the record leave the record itself whole
    assert sum(what == "decoded" for what in outcomes.values()) >= 6
    assert all("sync" in name or what for name, what in outcomes.items())
    empty = [what for name, what in outcomes.items() if name.startswith("fink-broker")]
    assert len(empty) == 10
    assert all("no record" in what for what in empty)
