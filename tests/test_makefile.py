"""What `make` says while it sets up, with a pip that only talks."""

import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *--editable*)
    echo "Looking in links: /somewhere"
    echo "Collecting numpy>=1.26 (from ampelstream==0.1.0)"
    echo "  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (2.0 MB)"
    echo "  Downloading https://host/numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)"
    echo "  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)"
    echo "Installing collected packages: six, numpy"
    echo "ERROR: no room" >&2
    exit CODE ;;
esac
"""


def set_up(directory: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Set up an environment with a stand-in for Python, and with outputs that are pipes."""
    python = directory / "python"
    python.write_text(PYTHON.replace("CODE", str(code)))
    python.chmod(0o755)
    avro = directory / "ampelstream" / "codecs" / "avro"
    avro.mkdir(parents=True)
    for path in (directory / "pyproject.toml", directory / "hatch_build.py"):
        path.touch()
    for name in ("interpreter.py", "interpreter.pxd"):
        (avro / name).touch()
    return subprocess.run(
        ["make", "--file", MAKEFILE, f"PYTHON={python}", ".venv/.ready"],  # noqa: S607  (from the PATH)
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_package_is_named(tmp_path: Path) -> None:
    done = set_up(tmp_path, 0)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "80 packages" in lines[0]
    shown = [line for line in lines[2:] if not line.startswith("ERROR")]  # that is not in order
    assert shown == [
        "  numpy>=1.26",
        "    fetching numpy-2.4.6 (16.9 MB)",
        "  installing 2 packages",
        ".venv is ready.",
    ]
    assert (tmp_path / ".venv" / ".ready").exists()


@pytest.mark.parametrize("code", [1, 2, 130])
def test_a_failure_of_pip_is_a_failure(tmp_path: Path, code: int) -> None:
    done = set_up(tmp_path, code)
    assert done.returncode == 2  # as make has it
    assert f"Error {code}" in done.stderr
    assert "ERROR: no room" in done.stderr
    assert not (tmp_path / ".venv" / ".ready").exists()
