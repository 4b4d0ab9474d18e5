"""Every snippet of the README is executed."""

import base64
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.simulate import Night

from .snippets import ROOT, blocks, run
from .snippets import commands as typed_lines

README = ROOT / "README.md"
BLOCKS = [(kind, text) for kind, _, text in blocks(README)]


def commands() -> list[str]:
    """Lines that a user types.

    Those that need a broker are run by tests/kafka/test_readme_kafka.py.
    """
    return typed_lines(README, without="dev kafka start")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, make_night: Callable[..., Night]) -> Path:
    """A user's directory: the night, the notices and the files that the README speaks of."""
    here = tmp_path_factory.mktemp("desk")
    night = make_night()
    (here / "night").mkdir()
    (here / "night" / "alerts.tar.gz").symlink_to(night.alerts)
    (here / "incoming").symlink_to(here / "night")
    (here / "notices").symlink_to(night.notices)
    (here / "glade_plus.csv").symlink_to(night.galaxies)
    (here / "topologies").symlink_to(ROOT / "topologies")
    # where the simulated night has its kilonova
    (here / "my-objects.csv").write_text("name,ra,dec\nAT2017gfo,197.450354,-23.381484\n")
    notice = next(
        path for path in sorted(night.notices.iterdir()) if b"skymap" in path.read_bytes()
    )
    skymap = base64.b64decode(json.loads(notice.read_text())["event"]["skymap"])
    (here / "bayestar.fits").write_bytes(skymap)
    (here / "GW170817.fits").write_bytes(skymap)
    (here / "demo-output").mkdir()
    (here / "demo-output" / "night").symlink_to(here / "night")
    for kind, block in BLOCKS:
        if kind == "python":
            (here / "brightness.py").write_text(block)
        elif kind == "yaml":
            (here / "bright.yml").write_text(block)
    return here


def test_every_kind_of_block_is_known() -> None:
    assert {kind for kind, _ in BLOCKS} == {"console", "python", "yaml"}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert named == {"demo", "test"}
    assert named <= targets


def test_the_first_two_commands_are_the_first_two() -> None:
    assert [line.split()[:2] for line in commands()[:2]] == [["make", "demo"], ["make", "test"]]


@pytest.mark.timeout(300)
def test_every_command_runs(desk: Path) -> None:
    ran = 0
    environment = {
        "PYTHONPATH": os.pathsep.join([str(desk), os.environ["PYTHONPATH"]]),
        "AMPELSTREAM_CATALOGS": str(desk / "catalogs"),
    }
    for line in commands():
        if not line.startswith("ampelstream "):
            assert line.startswith(("make ", "python3 -m venv")), line
            continue
        # the real files have other formats than those that we can make here
        asked = line.replace(".fits.gz", ".fits")
        asked = asked.replace("glade_plus.parquet", "glade_plus.csv")
        more = ["--once"] if " run " in line else []
        done = run(shlex.join([*shlex.split(asked), *more]), desk, **environment)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        ran += 1
    assert ran >= 8
    [watched] = (desk / "watched" / "candidates.ndjson").read_text().splitlines()
    found = {one["name"]: one["body"] for one in json.loads(watched)["results"]}
    assert found["Watchlist"]["watchlist"][0]["name"] == "AT2017gfo"
    lines = (desk / "bright" / "candidates.ndjson").read_text().splitlines()
    last = [json.loads(text) for text in lines]
    assert any(one["name"] == "Brightness" for row in last for one in row["results"])
