"""How two topologies differ, and what follows."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from ampelstream.cli.workflow import open_topology
from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs.builder import build
from ampelstream.sky.catalogs.sourcetable import SourceTable
from ampelstream.topology import Topology, identity_of, load
from ampelstream.topology.differences import Difference, Effect, differences, in_words
from ampelstream.topology.identity import shown

OLD = """
name: mine
version: "1"
description: before
channels:
  a:
    alerts: {where: "magpsf < 20"}
    filters: [{unit: DecentFilter, config: DECENT}]
    match: [{unit: PredetectionFilter}]
    units: [{unit: SkyMapProbability}, {unit: RiseDecline, name: slope}]
react:
  - {name: near, when: "SkyMapProbability.cumprob < 0.6", sinks: [console]}
"""
_SHIPPED = load("kilonova").channels["kilonova"].filters[0].config
OLD = OLD.replace("DECENT", json.dumps(_SHIPPED))
MATCH = "channels.a.match.PredetectionFilter"
AT_ONCE, AGAIN, ASK = Effect.AT_ONCE, Effect.AGAIN, Effect.ASK


@pytest.mark.parametrize(
    ("old", "new", "path", "effect"),
    [
        ("name: mine", "name: yours", "name", Effect.OTHER),
        ('version: "1"', 'version: "2"', "version", AT_ONCE),
        ("before", "after", "description", AT_ONCE),
        ("0.6", "0.5", "react.near.when", AT_ONCE),
        ("[console]", "[{file: x}]", "react.near.sinks", AT_ONCE),
        ("name: near", "name: close", "react.close", AT_ONCE),
        ("react:", "retention: {objects: 200}\nreact:", "retention.objects", AT_ONCE),
        ("react:", "kafka: {partitions: 8}\nreact:", "kafka.partitions", AT_ONCE),
        ("    units:", "    rank_by: slope.ndet\n    units:", "channels.a.rank_by.field", AT_ONCE),
        ("    units:", "    region: 0.5\n    units:", "channels.a.region", AGAIN),
        ("    units:", "    window: [0, 9]\n    units:", "channels.a.window", AGAIN),
        ("  a:\n", "  a:\n    lightcurve: {after: 9}\n", "channels.a.lightcurve.after", AGAIN),
        ("name: slope", "name: rise", "channels.a.units.rise", AGAIN),
        ("name: slope", "name: rise", "channels.a.units.slope", AGAIN),
        ("    match: [{unit: PredetectionFilter}]\n", "", MATCH, AGAIN),
        ("channels:", 'events: {where: "far < 1"}\nchannels:', "events.where", AGAIN),
        ("channels:", "events: {skymap: own}\nchannels:", "events.skymap", Effect.NOW_ON),
        ("magpsf < 20", "magpsf < 19", "channels.a.alerts.where", ASK),
        ('"min_rb": 0.3', '"min_rb": 0.4', "channels.a.filters.DecentFilter.config.min_rb", ASK),
        ("channels:\n", "channels:\n  b: {}\n", "channels.b", ASK),
        ("  a:\n", "  b:\n", "channels.a", AGAIN),
        ("  a:\n", "  b:\n", "channels.b", ASK),
    ],
)  # fmt: skip
def test_each_part_has_its_effect(
    old: str, new: str, path: str, effect: Effect, make: Callable[[str], Topology]
) -> None:
    assert old in OLD
    first, last = identity_of(make(OLD)), identity_of(make(OLD.replace(old, new, 1)))
    found = {one.path: one.effect for one in differences(first, last)}
    assert found[path] is effect
    assert differences(first, first) == ()
    only_at_once = set(found.values()) == {AT_ONCE}
    science = {"version", "channels.a.rank_by.field"} & found.keys()
    assert (first.hash == last.hash) is (only_at_once and not science)
    assert (first.filters == last.filters) is (ASK not in found.values())


def test_a_digest_tells_rules_apart_and_not_words(make: Callable[[str], Topology]) -> None:
    first = identity_of(make(OLD))
    assert identity_of(make(OLD.replace("before", "after"))).digest == first.digest
    ruled = identity_of(make(OLD.replace("0.6", "0.5")))
    assert (ruled.hash, ruled.digest == first.digest) == (first.hash, False)


def test_an_order_that_says_nothing_makes_no_other_topology(
    make: Callable[[str], Topology],
) -> None:
    """What differs in a digest and in no line would begin things anew, for no reason told."""
    two, last = "  b: {region: 0.5}\n", '  - {name: z, when: "rank > 1", sinks: [console]}\n'
    rules = OLD[OLD.index("react:\n") + len("react:\n") :]
    first = OLD.replace("channels:\n", f"channels:\n{two}") + last
    other = OLD.replace("react:\n", f"{two}react:\n").replace(rules, last + rules)
    one, same = identity_of(make(first)), identity_of(make(other))
    assert list(one.spec["channels"]) != list(same.spec["channels"])
    assert [rule["name"] for rule in one.spec["react"]] == ["near", "z"]
    assert [rule["name"] for rule in same.spec["react"]] == ["z", "near"]
    assert differences(one, same) == ()
    assert (one.hash, one.filters, one.digest) == (same.hash, same.filters, same.digest)


def test_what_a_unit_reads_counts_too(make: Callable[[str], Topology]) -> None:
    first = identity_of(make(OLD))
    path = "channels.a.filters.DecentFilter"
    other = msgspec.structs.replace(first, prints={**first.prints, path: "0123"})
    [found] = differences(first, other)
    assert (found.path, found.effect) == (path, ASK)
    assert "version" in found.remark


def test_a_line_says_what_was_what_is_and_what_follows(make: Callable[[str], Topology]) -> None:
    first, last = identity_of(make(OLD)), identity_of(make(OLD.replace("0.6", "0.5")))
    [line] = in_words(differences(first, last))
    assert line == (
        "react.near.when: SkyMapProbability.cumprob < 0.6 -> SkyMapProbability.cumprob < 0.5 "
        "(at once; matters that it holds for no longer are withdrawn)"
    )


def test_a_new_unit_is_one_line_and_an_order_another(make: Callable[[str], Topology]) -> None:
    one, other = "{unit: SkyMapProbability}", "{unit: RiseDecline, name: slope}"
    filters = f"    filters: [{{unit: DecentFilter, config: {json.dumps(_SHIPPED)}}}]\n"
    assert filters in OLD
    first, last = identity_of(make(OLD.replace(filters, ""))), identity_of(make(OLD))
    [line] = in_words(differences(first, last))
    assert line == (
        "channels.a.filters.DecentFilter: nothing -> a new unit (from now on, or with a backfill)"
    )
    [line] = in_words(differences(first, last), "backfill")
    assert line.endswith("a new unit (backfill, as chosen)")
    turned = OLD.replace(f"[{one}, {other}]", f"[{other}, {one}]")
    assert turned != OLD
    [line] = in_words(differences(last, identity_of(make(turned))))
    assert line.startswith("channels.a.units.order: ['SkyMapProbability', 'slope'] -> ['slope'")


@pytest.mark.parametrize("name", ["a.b", "a b", "*", "Ä", "a.filters.b", '"a"."b"', "alerts", "1"])
def test_whatever_a_channel_is_called_its_filters_ask(
    name: str, make: Callable[[str], Topology]
) -> None:
    text = OLD.replace("  a:\n", f"  {json.dumps(name)}:\n")
    first = identity_of(make(text))
    for old, new in (("magpsf < 20", "magpsf < 19"), ('"min_rb": 0.3', '"min_rb": 0.4')):
        [found] = differences(first, identity_of(make(text.replace(old, new))))
        assert found.effect is ASK, found
    path = ("channels", name, "filters", "DecentFilter")
    other = msgspec.structs.replace(first, prints={**first.prints, shown(path): "0123"})
    assert [one.effect for one in differences(first, other)] == [ASK]


def test_what_goes_hides_nothing_of_what_has_a_longer_name(
    make: Callable[[str], Topology],
) -> None:
    """A channel, a rule and a unit, each beside one whose name begins with its own and a dot."""
    text = """
name: mine
version: "1"
channels:
  a.b: {units: [{unit: SkyMapProbability, name: x.y}, {unit: RiseDecline, name: x}], region: 0.8}
  a: {}
react:
  - {name: near.by, when: "status == 'active'", sinks: [console]}
  - {name: near, when: "status == 'active'", sinks: [console]}
"""
    first = identity_of(make(text))
    last = text.replace("  a: {}\n", "").replace(", {unit: RiseDecline, name: x}", "")
    last = last[: last.rindex("  - {name: near")].replace("'active'", "'outside'")
    last = last.replace("region: 0.8", "alerts: {where: rb > 1}")
    last = last.replace("SkyMapProbability, name", "RiseDecline, name")
    found = {one.path: one.effect for one in differences(first, identity_of(make(last)))}
    assert found == {
        "channels.a": AGAIN,
        'channels."a.b".alerts.where': ASK,
        'channels."a.b".region': AGAIN,
        'channels."a.b".units.x': AGAIN,
        'channels."a.b".units."x.y".unit': AGAIN,
        "react.near": AT_ONCE,
        'react."near.by".when': AT_ONCE,
    }


def test_a_list_of_a_configuration_is_no_list_of_units(make: Callable[[str], Topology]) -> None:
    """Whatever it is called: entries without names would hide one another."""
    first = identity_of(make(OLD))
    spec = json.loads(json.dumps(first.spec))
    unit = spec["channels"]["a"]["units"][1]
    unit["config"] = {"units": [{"depth": 1}, {"depth": 2}]}
    one = msgspec.structs.replace(first, spec=json.loads(json.dumps(spec)))
    unit["config"]["units"][0]["depth"] = 3
    [found] = differences(one, msgspec.structs.replace(first, spec=spec))
    assert (found.path, found.effect) == ("channels.a.units.slope.config.units", AGAIN)


def test_what_differs_in_a_digest_is_never_nothing(make: Callable[[str], Topology]) -> None:
    """Candidates name the hash: those that are known would keep the old one, and nobody be told."""
    first, last = make(OLD), make(OLD.replace('"max_elong": 2', '"max_elong": 2.0'))
    assert first.hash != last.hash
    [found] = differences(identity_of(first), identity_of(last))
    assert (found.path, found.effect) == ("the file", AGAIN)


def test_a_fingerprint_that_an_earlier_version_noted_under_another_path_asks(
    make: Callable[[str], Topology],
) -> None:
    last = identity_of(make(OLD.replace("  a:\n", "  a.b:\n")))
    prints = {path.replace('"', ""): one for path, one in last.prints.items()}
    assert prints != last.prints
    found = differences(msgspec.structs.replace(last, prints=prints), last)
    assert found[0].effect is ASK
    assert {one.old for one in found} == {"fingerprint unknown"}


def test_a_catalogue_that_is_there_no_longer_asks_for_a_word(tmp_path: Path) -> None:
    """Candidates would lose what it says: a volume is empty, or it is another machine."""
    file = tmp_path / "mine.yml"
    file.write_text(CATALOGUE)
    table = SourceTable(Path("t.csv"), pa.table({"ra": [1.0], "dec": [2.0], "name": ["a"]}))
    build(tmp_path / "full", "stars", table)

    def opened(directory: str, *, evaluates: bool = True) -> Topology:
        return open_topology(str(file), tmp_path / directory, evaluates=evaluates)[1]

    full, empty = identity_of(opened("full")), identity_of(opened("none"))
    [gone] = differences(full, empty)
    path = "channels.a.units.CatalogMatch.catalogs.near"
    assert (gone.path, gone.new, gone.effect) == (path, None, Effect.NOW_ON)
    assert "see --catalogs" in gone.remark
    [come] = differences(empty, full)
    assert come.effect is AGAIN
    # who evaluates no candidates reads none, and has the same file
    reads_none = opened("none", evaluates=False)
    assert not identity_of(reads_none).reads
    assert not identity_of(reads_none).prints
    assert reads_none.file == opened("full").file == opened("full", evaluates=False).file
    assert identity_of(opened("full")) == full
    # also where the catalogue must be there
    file.write_text(CATALOGUE.replace(", optional: true", ""))
    assert opened("none", evaluates=False).file != reads_none.file
    with pytest.raises(CatalogError):
        opened("none")


CATALOGUE = """
name: mine
version: "1"
channels:
  a:
    units:
      - unit: CatalogMatch
        config: {catalogs: {near: {catalog: stars, radius_arcsec: 3, optional: true}}}
"""


def test_nothing_and_an_empty_text_are_told_apart() -> None:
    text = Difference("description", "", None, Effect.AT_ONCE)
    assert list(in_words([text])) == ["description: empty -> nothing (at once)"]
