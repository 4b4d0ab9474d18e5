"""Candidates of a replay come out of Avro as they went in, to the byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.cli.workflow import open_inputs, open_topology
from ampelstream.codecs.own import decode_candidate, encode_candidate
from ampelstream.model.candidate import Candidate
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.runtime.outputs import candidate_row, encode_lines
from ampelstream.simulate import Night
from ampelstream.sources import merge
from ampelstream.state.memory import MemoryBackend

Found = Callable[[str, Path, Path], list[Candidate]]


@pytest.fixture
def replayed(tmp_path: Path) -> Found:
    def replay(topology: str, alerts: Path, notices: Path) -> list[Candidate]:
        engine = Engine(open_topology(topology, tmp_path / "catalogs")[1], MemoryBackend())
        for record in merge(open_inputs([alerts], [notices]), {}):
            engine.process([record])
        engine.commit()
        return engine.objects.candidates()

    return replay


def check(candidates: list[Candidate]) -> None:
    for one in candidates:
        again = decode_candidate(encode_candidate(one))
        assert list(encode_lines([candidate_row(again)])) == list(
            encode_lines([candidate_row(one)])
        )


@pytest.mark.parametrize("topology", ["kilonova", "skymap-only"])
def test_simulated(topology: str, replayed: Found, make_night: Callable[..., Night]) -> None:
    night = make_night()
    candidates = replayed(topology, night.alerts, night.notices)
    assert any(one.results and one.lightcurve for one in candidates)
    check(candidates)


@pytest.mark.realdata
def test_real(replayed: Found, data_dir: Path) -> None:
    alerts, notices = data_dir / "ztf" / "night-20240115", data_dir / "notices" / "lvk-2024-01"
    candidates = replayed("skymap-only", alerts, notices)
    assert len(candidates) > 100
    check(candidates)
