"""The house rules that a linter does not know."""

import ast
import itertools
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BOUNDARIES = {
    "ampelstream/cli/main.py",
    "ampelstream/cli/run.py",
    "ampelstream/core/boundary.py",
    "ampelstream/reactions/dispatch.py",
    "ampelstream/state/rocks.py",
}
TWINS = {
    name: {f"codecs/{survey}/{name}.py" for survey in ("lsst", "ztf")}
    for name in ("datapoints", "packet")
} | {}
"""Modules that do the same for two surveys, and so have the same name."""

ELSEWHERE = re.compile(r"(?<![\w.$])/(work|farm|root|home)/")


def tracked() -> list[Path]:
    """Files of the repository; all files where it is not a checkout."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607  (git from the PATH)
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name]


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_no_file_is_too_long_to_be_read_whole() -> None:
    """Files that are always opened together are better as one, up to a point."""
    lengths = {path: len(path.read_text().splitlines()) for path in sources("ampelstream")}
    assert {path.name: lines for path, lines in lengths.items() if lines > 700} == {}


def test_no_two_modules_share_a_name() -> None:
    """A name in a traceback, a tab of an editor or a search says which file it is."""
    by_name: dict[str, set[str]] = defaultdict(set)
    for path in sources("ampelstream"):
        if path.stem != "__init__":
            by_name[path.stem].add(path.relative_to(ROOT / "ampelstream").as_posix())
    shared = {name: paths for name, paths in by_name.items() if len(paths) > 1}
    assert {name: shared.pop(name, set()) for name in TWINS} == TWINS
    assert shared == {}, "rename one, or merge them"


def test_there_is_no_utils() -> None:
    assert [path for path in sources("ampelstream") if "util" in path.stem] == []


def test_exceptions_are_caught_wholesale_only_at_the_boundaries() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources("ampelstream")
        if re.search(r"except (Base)?Exception|except:", path.read_text())
    }
    assert found == BOUNDARIES


@pytest.mark.parametrize("folder", ["ampelstream", "tests", "benchmarks"])
def test_every_exception_to_a_rule_has_its_reason(folder: str) -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources(folder)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"#\s*(noqa|type: ignore)", line)
        and not re.search(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\])\s+#?\s*\(?\w", line)
        and "re.search" not in line
    ]
    assert bare == []


def test_no_path_of_one_machine() -> None:
    found: list[str] = []
    for path in tracked():
        if path.parts[len(ROOT.parts)] == "tests" or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found.extend(
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if ELSEWHERE.search(line) and "WORKDIR /home/ampelstream" not in line
        )
    assert found == []


# A count in a text for people, with a noun behind it in the plural whatever the count is.
PLURAL = re.compile(
    r"\s(?:(?!(?:of|in|into|from|and|all|the|holds)\b)\w+ )?"
    r"(?:alerts|candidates|cases|datapoints|detections|duplicates|events|files|inputs|letters|limits"
    r"|notices|objects|packets|reactions|records|revisions|rows|topics|units)\b(?!\.\w)"
)
SHOWN = ("cli", "report", "runtime/embedded", "runtime/kafka/topologystatus.py")
ALWAYS_MANY = ("events known",)
"""Said of some among several."""


def counts_in(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, behind in itertools.pairwise(node.values):
            if isinstance(value, ast.FormattedValue) and isinstance(behind, ast.Constant):
                named = PLURAL.match(str(behind.value))
                if named and not any(words in str(behind.value) for words in ALWAYS_MANY):
                    found.append(f"line {node.lineno}: {{...}}{str(behind.value)[:40]}")
    return found


def test_one_is_never_counted_in_the_plural() -> None:
    """Not "1 alerts": `ampelstream.model.display.counted` says it in the right number."""
    assert counts_in(ast.parse('f"{number} alerts of {objects} new objects"')) != []
    assert counts_in(ast.parse('f"{path} and all files"')) == []
    wrong = {
        path.relative_to(ROOT).as_posix(): found
        for path in sources("ampelstream")
        if path.relative_to(ROOT / "ampelstream").as_posix().startswith(SHOWN)
        and (found := counts_in(ast.parse(path.read_text())))
    }
    assert wrong == {}, "use counted() of ampelstream.model.display"
