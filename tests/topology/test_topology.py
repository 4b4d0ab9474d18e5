"""Conditions, hashes, and the topologies that ship."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.cli.workflow import open_topology
from ampelstream.errors import ConfigError
from ampelstream.shipped import topologies
from ampelstream.sky.catalogs.builder import build as build_catalog
from ampelstream.sky.catalogs.sourcetable import SourceTable
from ampelstream.topology import Condition
from ampelstream.topology.describe import as_plain, describe, mermaid, outline

CONDITIONS = [
    ("", {}, True),
    ("a > 1", {"a": 2}, True),
    ("a > 1", {}, False),
    ("a > 1", {"a": None}, False),
    ("a > 1", {"a": "text"}, False),
    ("not a > 1", {}, True),
    ("a == null", {}, True),
    ("a != null", {"a": 0}, True),
    ("1 < a <= 3", {"a": 3}, True),
    ("a.b.c == 'x'", {"a": {"b": {"c": "x"}}}, True),
    ("a.b.c == 'x'", {"a": 5}, False),
    ("a in [1, 2] and true", {"a": 2}, True),
    ("a + b * 2 >= 7 or false", {"a": 1, "b": 3}, True),
    ("a / b > 1", {"a": 1, "b": 0}, False),
    ("-a < 0", {"a": 1}, True),
]


@pytest.mark.parametrize(("text", "values", "expected"), CONDITIONS)
def test_conditions(text: str, values: dict[str, Any], expected: bool) -> None:  # noqa: FBT001  (a table of cases)
    assert Condition(text).holds(values) is expected


@pytest.mark.parametrize(
    "text",
    [
        "f(1)",
        "a[0]",
        "lambda: 1",
        "__import__('os')",
        "a if b else c",
        "[x for x in y]",
        "a :=",
        "{}",
    ],
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConfigError, match="condition"):
        Condition(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    st.sampled_from([text for text, _, _ in CONDITIONS]),
    st.dictionaries(st.sampled_from("abc"), anything),
)
def test_a_parsed_condition_never_fails(text: str, values: dict[str, Any]) -> None:
    assert Condition(text).holds(values) in {True, False}


def test_hash_tells_content(make: Callable[[str], Any]) -> None:
    text = (
        "name: a\nversion: 1\nchannels:\n  c:\n    region: 0.9\n    window: [0, 1]\n"
        "    units: [{unit: SkyMapProbability}]\n"
    )
    base = make(text).hash
    swapped = text.replace(
        "    region: 0.9\n    window: [0, 1]\n", "    window: [0, 1]  # days\n    region: 0.9\n"
    )
    assert make(swapped).hash == base
    assert make(text + "description: more words\n").hash == base
    kafka = "kafka: {partitions: 16, replication: 2, retention_days: {alerts: 1}}\n"
    assert make(text + kafka).spec.kafka.partitions == 16
    assert make(text + kafka).hash == base
    assert make(text.replace("0.9", "0.8")).hash != base
    assert make(text.replace("version: 1", "version: 2")).hash != base


@pytest.mark.parametrize("name", topologies())
def test_shipped_topologies(name: str, tmp_path: Path) -> None:
    mine = pa.table({"ra": [10.0], "dec": [20.0]})
    build_catalog(tmp_path, "watchlist", SourceTable(Path("mine.csv"), mine))
    _, topology = open_topology(name, tmp_path)
    words = describe(topology)
    assert topology.hash in words
    plain = as_plain(topology)
    for channel in topology.channels:
        assert channel.name in words
        assert len(plain["channels"][channel.name]["units"]) == len(channel.units)
        for unit in channel.units:
            assert unit.name in words
            assert unit.name in mermaid(topology)
            assert unit.name in outline(topology)


def test_mermaid_is_well_formed(tmp_path: Path) -> None:
    _, topology = open_topology("kilonova", tmp_path)
    lines = mermaid(topology).splitlines()
    assert lines[0] == "flowchart LR"
    declared = {
        line.split("[")[0].split("(")[0].split("{")[0].split(">")[0].strip() for line in lines
    }
    for line in lines:
        if " --> " in line and "|" not in line:
            left, right = line.split(" --> ")
            assert {left.strip(), right.strip()} <= declared
        assert line.count('"') % 2 == 0


def test_why_an_or_is_false_says_what_is_there() -> None:
    """That something is not null, where it may be null too, is no news."""
    condition = Condition("a == null or a.b >= 0.5 or c > 1")
    unmet = condition.unmet({"a": {"b": 0.12345}, "c": 0})
    assert str(unmet) == "a.b is 0.123, wanted a == null or a.b >= 0.5 or c > 1"
    assert str(Condition("a == null or c == null").unmet({"a": 1, "c": 2})) == (
        "a is 1, wanted a == null or c == null"
    )
