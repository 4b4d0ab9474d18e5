"""Units in a module beside the topology file."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ampelstream.cli.workflow import open_topology
from ampelstream.errors import ConfigError
from ampelstream.model.lightcurve import Datapoint, LightCurve
from ampelstream.runtime.unitpool import with_pool
from ampelstream.simulate import Night
from ampelstream.topology import ownmodules
from ampelstream.topology.ownmodules import look_beside
from ampelstream.units import Inputs

UNITS = '''
import os

from ampelstream.units import ObjectUnit


class Count(ObjectUnit):
    """How many detections, and who counted."""

    provides = "count"
    heavy = HEAVY

    def compute(self, inputs):
        from besides import FACTOR  # found when it is needed, too

        return {"detections": FACTOR * len(inputs.lightcurve.detections), "process": os.getpid()}
'''
TOPOLOGY = """name: own
version: 1
channels:
  mine:
    window: [0, 10]
    units: [{unit: "NAME:Count"}]
    rank_by: Count.detections
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a test loads is gone behind it."""
    yield
    finder = next((one for one in sys.meta_path if isinstance(one, ownmodules._Beside)), None)
    if finder is not None:
        finder.forget()
        sys.meta_path.remove(finder)


def write(directory: Path, name: str = "counting", *, factor: int = 1, heavy: bool = False) -> str:
    """Give a topology file with the user's modules beside it."""
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.py").write_text(UNITS.replace("HEAVY", str(heavy)))
    (directory / "besides.py").write_text(f"FACTOR = {factor}\n")
    (directory / "own.yml").write_text(TOPOLOGY.replace("NAME", name))
    return str(directory / "own.yml")


INPUTS = Inputs(LightCurve("a", [Datapoint(id=1, jd=2460000.5, fid=1, mag=19.0)]))


def count(file: str) -> int:
    [bound] = open_topology(file, Path("none"))[1].channels[0].units
    body = bound.unit.compute(INPUTS)
    assert isinstance(body, dict)
    return int(body["detections"])


def test_the_path_of_python_stays_as_it_was(tmp_path: Path) -> None:
    before = list(sys.path)
    assert count(write(tmp_path / "a", factor=2)) == 2
    assert sys.path == before


def test_each_file_has_its_own_modules(tmp_path: Path) -> None:
    """Two directories, the same names in both: `topology diff` opens one after the other."""
    one, other = write(tmp_path / "a", factor=2), write(tmp_path / "b", factor=3)
    assert [count(one), count(other), count(one)] == [2, 3, 2]


def test_what_is_installed_is_not_shadowed(tmp_path: Path) -> None:
    """A file that is called like a module of Python harms nobody, and is no unit by mistake."""
    file = write(tmp_path / "a", "random")
    with pytest.raises(ConfigError, match=r"the module random has no Count"):
        open_topology(file, Path("none"))
    (tmp_path / "a" / "json").mkdir()
    assert sys.modules["random"] is random
    assert Path(str(sys.modules["json"].__file__)).parent != tmp_path / "a"


def test_a_unit_that_is_hidden_by_another_module_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "elsewhere", "counting_twice")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    file = write(tmp_path / "a", "counting_twice")
    with pytest.raises(ConfigError) as caught:
        open_topology(file, Path("none"))
    assert str(caught.value) == (
        f"{file}:6: channels.mine.units.0.unit: counting_twice.py beside the file is hidden by "
        f"{tmp_path}/elsewhere/counting_twice.py; give it another name"
    )


FAULTS = {
    "import nothing_of_the_name\n": "broken.py:1: ModuleNotFoundError: No module named "
    "'nothing_of_the_name'",
    "x = 1\ndef (:\n": "broken.py:2: this is not Python (invalid syntax)",
    "import json\n\njson.loads('{')\n": "broken.py:3: JSONDecodeError: ",
    "import helping\n": "helping.py:2: ZeroDivisionError: division by zero",
    "from ampelstream.units import AlertFilter\nclass Unit(AlertFilter):\n    limit = 3\n": (
        "broken.py:2: a key of the configuration has no type: write it as in `limit: float = 1.0`, "
        "or as `ClassVar` where it is none (limit = 3)"
    ),
}


@pytest.mark.parametrize("code", FAULTS)
def test_an_error_in_the_module_is_named_with_its_line(code: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(code)
    (tmp_path / "helping.py").write_text("x = 1\ny = x / 0\n")
    (tmp_path / "own.yml").write_text(TOPOLOGY.replace("NAME:Count", "broken:Unit"))
    with pytest.raises(ConfigError) as caught:
        open_topology(str(tmp_path / "own.yml"), Path("none"))
    said = str(caught.value)
    head = "channels.mine.units.0.unit: unit 'broken:Unit': the module broken cannot be imported: "
    assert said.startswith(f"{tmp_path}/own.yml:6: {head}{tmp_path}/{FAULTS[code]}")


def test_a_heavy_unit_is_found_in_the_processes_of_the_pool(tmp_path: Path) -> None:
    file = write(tmp_path / "a", factor=5, heavy=True)
    with with_pool(open_topology(file, Path("none"))[1], 1) as topology:
        [bound] = topology.channels[0].units
        assert bound.start is not None
        body = bound.start(INPUTS).result()
    assert isinstance(body, dict)
    assert body["detections"] == 5
    assert body["process"] != os.getpid()


def test_replay_finds_them_from_wherever_it_is_started(
    tmp_path: Path, make_night: Callable[..., Night]
) -> None:
    night = make_night()
    file = write(tmp_path / "a", factor=1)
    named = ["--alerts", str(night.alerts), "--notices", str(night.notices), "--out", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "ampelstream", "replay", file, *named],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "candidates.ndjson").read_text().splitlines()
    active = [row for row in map(json.loads, lines) if row["status"] == "active"]
    assert active
    for row in active:
        bright = [one for one in row["lightcurve"] if "mag" in one and one.get("positive")]
        assert row["results"][0]["body"]["detections"] == row["rank"] == len(bright)
    assert any(row["rank"] > 0 for row in active)


def test_the_last_directory_counts(tmp_path: Path) -> None:
    look_beside(tmp_path / "a")
    look_beside(tmp_path)
    assert ownmodules.looked_beside() == tmp_path.resolve()
    assert sum(isinstance(one, ownmodules._Beside) for one in sys.meta_path) == 1
