"""The site's own pages: the tutorial runs as it stands, and the reference leaves nothing out."""

import gzip
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ampelstream.codecs import igwn
from ampelstream.simulate import simulate_notice
from ampelstream.topology.spec import TopologySpec
from ampelstream.units.discovery import available

from .snippets import ROOT, blocks, commands, run

TUTORIAL = ROOT / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    place = ROOT / "docs" / "reference_pages.py"
    found = importlib.util.spec_from_file_location("reference_pages", place)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tutorial(tmp_path: Path) -> None:
    """Every command in the order of the page, in one empty directory, and what they say they do."""
    for kind, name, text in blocks(TUTORIAL):
        assert name or kind == "console", text
        if name:
            (tmp_path / name).write_text(text)
    lines = commands(TUTORIAL)
    assert len(lines) >= 9
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])}
    for line in lines:
        done = run(line, tmp_path, **paths)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    mine = [
        json.loads(one) for one in (tmp_path / "mine/candidates.ndjson").read_text().splitlines()
    ]
    ranks = [one["rank"] for one in mine if one["status"] == "active"]
    assert any(rank is not None and -30 < rank < -10 for rank in ranks)
    bright = [
        json.loads(one) for one in (tmp_path / "bright/candidates.ndjson").read_text().splitlines()
    ]
    assert bright
    assert all(one["event_id"] == "" for one in bright)


def test_the_page_of_sky_maps(tmp_path: Path) -> None:
    facts: dict[str, Any] = {
        "event_id": "S1",
        "alert_type": "INITIAL",
        "time_created": "2024-01-14T23:05:00Z",
    }
    place: dict[str, Any] = {
        "t0_jd": 2460324.458,
        "ra": 197.45,
        "dec": -23.38,
        "width_deg": 5.0,
        "order": 4,
    }
    notice = igwn.decode(simulate_notice(**facts, **place))
    (tmp_path / "bayestar.fits.gz").write_bytes(gzip.compress(notice.skymap))
    (line,) = commands(ROOT / "docs" / "skymaps.md")
    done = run(line, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["points"][0]["searched_prob"] < 0.5


def test_every_key_of_a_topology_is_described(reference: ModuleType) -> None:
    page = reference.topology_page()
    undescribed = re.findall(r"^\| `(\w+)` \|.*\|  \|$", page, re.MULTILINE)
    assert undescribed == []
    for name in TopologySpec.model_fields:
        assert f"| `{name}` |" in page


def test_every_unit_has_its_section(reference: ModuleType) -> None:
    page = reference.units_page()
    for name in available():
        assert f"\n## {name}\n" in page
    assert re.findall(r"^\| `(\w+)` \|.*\|  \|$", page, re.MULTILINE) == []


def test_every_command_is_there(reference: ModuleType) -> None:
    page = reference.commands_page()
    for name in ("replay", "run", "topology check", "units show", "catalogs add"):
        assert re.search(rf"^#+ `ampelstream {name}`$", page, re.MULTILINE), name


def test_what_the_index_lists_is_there(reference: ModuleType) -> None:
    listed: set[str] = set()
    for block in re.findall(
        r"```\{toctree\}\n(.*?)```", (ROOT / "docs/index.md").read_text(), re.DOTALL
    ):
        listed.update(line for line in block.splitlines() if line and not line.startswith(":"))
    made = {path.removesuffix(".md") for path in reference.pages()}
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - made - {"index"}
    assert listed == made | written
    assert sys.modules.get("sphinx") is None  # the pages are made without it
