"""SN 2021rhu: 34 packets, from first detection to 65 days, make one light curve."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from ampelstream.cli.workflow import open_topology
from ampelstream.core.accounting import Accounting
from ampelstream.core.ingest import Ingest
from ampelstream.core.lightcurves import light_curve
from ampelstream.core.objectstore import merge_detection
from ampelstream.core.state import ObjectState
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.detection import Detection
from ampelstream.model.record import SourceRecord


@pytest.mark.realdata
@pytest.mark.parametrize("seed", range(10))
def test_any_order_any_packet_twice(seed: int, data_dir: Path, tmp_path: Path) -> None:
    _, topology = open_topology("skymap-only", tmp_path)
    packets = [path.read_bytes() for path in sorted((data_dir / "ztf" / "sn2021rhu").iterdir())]
    assert len(packets) == 34
    dice = random.Random(seed)  # noqa: S311  (a reproducible test, not a secret)
    mixed = [*packets, *dice.sample(packets, k=dice.randint(1, 34))]
    dice.shuffle(mixed)
    ingest = Ingest(topology, Accounting().tally(), time.time)
    state: ObjectState | None = None
    duplicates = 0
    for number, packet in enumerate(mixed):
        record = SourceRecord(Coordinates("rhu", 0, number), "alerts", packet)
        [detection] = [
            output.value
            for output in ingest.process([record])
            if isinstance(output.value, Detection)
        ]
        state, known = merge_detection(state, detection)
        duplicates += bool(known)
    assert state is not None
    assert duplicates == len(mixed) - 34
    assert state.object_id == "ZTF21abiuvdk"
    assert len(state.alerts) == 34
    curve = light_curve(state.object_id, state.datapoints)
    assert Counter(point.band for point in curve.detections) == {"g": 18, "r": 16}
    assert len(curve.upper_limits) == 16
    assert curve.position is not None
    assert curve.position == pytest.approx((0.81429, 16.14569), abs=5e-6)
