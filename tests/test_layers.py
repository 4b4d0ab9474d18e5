"""Imports point downward, and what is pure stays pure."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ampelstream"
LAYERS = (
    {"cli"},
    {"runtime"},
    {"testing"},
    {"report", "simulate"},
    {"core"},
    {"topology"},
    {"units", "reactions"},
    {"sky", "sources"},
    {"codecs", "state"},
    {"model"},
)
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}
PURE = ("core", "units", "sky", "codecs", "model", "topology")
IMPURE = {
    "aiohttp", "aiokafka", "asyncio", "confluent_kafka", "faust", "http", "httpx", "requests",
    "socket", "time", "urllib",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def is_type_checking(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules that the code imports when it runs, wherever the import stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


PROCESSORS = {
    "accounting": {"COUNTS", "Accounting", "CountKey"},
    "boundary": {"Failure", "attempt"},
    "ingest": {"Ingest"},
    "objects": {"Objects"},
    "react": {"STRANDED", "Deliverer", "React"},
    "events": {"MapCache"},
    "lookup": {"Lookup"},
    "census": {"EventCensus", "RevisionCensus"},
    "nothing": {"why_no_candidate", "why_none_selected", "why_not_selected"},
    "unitcounts": {"UnitCounts", "unit_counts"},
    "ownership": {"Word", "asks", "check_word", "finish", "owner_of"},
    "waiting": {"Note", "Waiting", "is_note"},
    "state": {"commit_order", "LedgerEntry", "ObjectState"},
}
"""What a runtime may know of the core: the processors, what they count, what they share among the
partitions of a process, the boundary around a record, whose their state is, how it is committed,
and looking at it."""


def test_runtimes_call_nothing_of_the_core_but_its_processors() -> None:
    used: set[str] = set()
    for path in sorted((PACKAGE / "runtime").rglob("*.py")):
        used |= {
            n for n in imports(ast.parse(path.read_text())) if n.startswith("ampelstream.core.")
        }
    names = {".".join(name.split(".")[2:]) for name in used}
    allowed = {f"{module}.{name}" for module, of in PROCESSORS.items() for name in of}
    assert names - allowed - PROCESSORS.keys() == set()


def test_the_core_reads_no_files() -> None:
    for path in sorted((PACKAGE / "core").rglob("*.py")):
        found = {name.split(".")[1] for name in imports(ast.parse(path.read_text())) if "." in name}
        assert found & {"sources", "reactions", "report"} == set(), path


def test_every_package_has_a_layer() -> None:
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found == set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    if own not in LEVEL:
        return  # a module at the top: errors, shipped, __main__
    for name in imports(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] == "ampelstream" and len(parts) > 1 and parts[1] in LEVEL:
            assert LEVEL[parts[1]] >= LEVEL[own], f"{own} imports {name}, which is above it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_packages_have_no_network_and_no_clock(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] not in PURE:
        return
    tree = ast.parse(path.read_text())
    used = {name.split(".")[0] for name in imports(tree)}
    assert used & IMPURE == set()
    clocks = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
    ]
    assert clocks == []


def test_what_makes_faust_safe_could_be_given_to_faust() -> None:
    """It imports nothing of the project but itself, and has no word of astronomy."""
    words = r"\b(alert|candidate|detection|sky|survey|telescope|ztf|astronom\w*)s?\b"
    for path in sorted((PACKAGE / "runtime" / "safefaust").glob("*.py")):
        text = path.read_text()
        own = [name for name in imports(ast.parse(text)) if name.split(".")[0] == "ampelstream"]
        assert all(name.startswith("ampelstream.runtime.safefaust.") for name in own), path.name
        assert re.findall(words, text, re.IGNORECASE) == [], path.name
