"""Code and commands of a document, so that a test may run them as a reader would."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[str, str, str]]:
    """(language, name of the file that it is, text) of each block of code."""
    found = _BLOCK.finditer(document.read_text())
    return [(one[1], one[2] or "", one[3]) for one in found]


def commands(document: Path, without: str = "") -> list[str]:
    """Lines that a user types, without the prompt and the comment; those of some blocks left out.

    Parameters
    ----------
    document
        Where they stand.
    without
        What a block holds that is left out; empty: none is.
    """
    return [
        line.removeprefix("$ ").split("  #")[0].strip()
        for kind, _, block in blocks(document)
        if kind == "console" and not (without and without in block)
        for line in block.splitlines()
    ]


def run(line: str, where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What comes of a command of ours."""
    return subprocess.run(
        [sys.executable, "-m", *shlex.split(line)],
        cwd=where,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
