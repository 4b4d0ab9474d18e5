"""Every mistake is named with file, key and mend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ampelstream.errors import AmpelstreamError, CatalogError, ConfigError
from ampelstream.topology import load

GOOD = """
name: mine
version: 1
channels:
  one:
    window: [0, 5]
    units:
      - unit: SkyMapProbability
    rank_by: SkyMapProbability.cumprob
"""
REACT = "react:\n  - name: x\n    sinks: [console]\n"
LATE = """- unit: DigestRedshifts
      - unit: CatalogMatch
        config: {catalogs: {X: {radius_arcsec: 1, optional: true}}}"""
MISTAKES = [
    ("channels:", "chanels:", ["mine.yml:4", "chanels", "did you mean channels"]),
    ("window:", "windw:", ["mine.yml:6", "channels.one.windw", "did you mean window"]),
    ("window: [0, 5]", "window: [5, 0]", ["channels.one", "must rise"]),
    (
        "window: [0, 5]",
        "region: 1.5",
        ["channels.one.region", "must be more than 0 and 1 or less (got 1.5)"],
    ),
    ("window: [0, 5]", "window: soon", ["channels.one.window", "soon"]),
    ("window: [0, 5]", "window: [0, .inf]", ["mine.yml:6", "channels.one.window.1", "finite"]),
    (
        "\nchannels:",
        "\nretention:\n  objects: 50\n  events: 46\nchannels:",
        ["mine.yml:4: retention: ", "50 d", "46 d", "span 5 d", "retention.objects to 51 or more"],
    ),
    ("window: [0, 5]", "window: [-30, 20]", ["retention: ", "span 50 d", "objects to 110 or more"]),
    ("\nchannels:", "\nretention: {events: .inf}\nchannels:", ["retention.objects to inf"]),
    (
        "\nchannels:",
        "\nkafka: {partitions: 0}\nchannels:",
        ["kafka.partitions", "must be 1 or more and 512 or less"],
    ),
    ("\nchannels:", "\nkafka: {partition: 4}\nchannels:", ["did you mean partitions"]),
    ("name: mine\n", "", ["name", "is missing"]),
    ("name: mine", "name: a/b", ["name", "a/b"]),
    ("version: 1", "version: 1\nversion: 2", ["mine.yml:4", "version", "twice"]),
    ("unit: SkyMapProbability", "unit: SkyMapProbabilty", ["units.0", "SkyMapProbability"]),
    ("unit: SkyMapProbability", "unit: no.such.module:Thing", ["units.0", "no.such.module"]),
    (
        "unit: SkyMapProbability",
        "unit: PredetectionFilter",
        ["units.0", "is a match filter: move it from `units` to `match`"],
    ),
    ("unit: SkyMapProbability", "unit: DigestRedshifts", ["units.0", "needs catalogs", "above"]),
    (
        "- unit: SkyMapProbability",
        LATE,
        ["needs catalogs", "move CatalogMatch above DigestRedshifts"],
    ),
    (
        "- unit: SkyMapProbability",
        "- unit: SkyMapProbability\n      - unit: SkyMapProbability",
        ["units.1", "is taken"],
    ),
    (
        "- unit: SkyMapProbability",
        "- unit: SkyMapProbability\n        config: {nside: 3}",
        ["units.0", "nside"],
    ),
    ("SkyMapProbability.cumprob", "Nothing.cumprob", ["rank_by", "Nothing.cumprob"]),
    ("\nchannels:", f"\n{REACT}    when: a(1)\nchannels:", ["react.0", "'a(1)'", "column 1"]),
    ("\nchannels:", f"\n{REACT}    when: b > 1\nchannels:", ["react.0", "nothing is called b"]),
    ("\nchannels:", f"\n{REACT}    when: rank > \nchannels:", ["react.0", "rank >"]),
    ("\nchannels:", f"\n{REACT}    when: rank > 1\n    channel: z\nchannels:", ["no channel z"]),
    ("\nchannels:", "\nevents: {where: 'far <'}\nchannels:", ["events.where", "far <"]),
    ("\nchannels:", "\nevents: {kinds: [tides]}\nchannels:", ["events.kinds", "gw"]),
]


def test_the_good_one_is_good(make: Callable[[str], Any]) -> None:
    assert make(GOOD).version == "1"


def test_the_widest_window_of_all_channels_counts(make: Callable[[str], Any]) -> None:
    two = GOOD + "  two: {window: [-5, 1]}\nretention: {objects: 30, events: KEEP}\n"
    assert make(two.replace("KEEP", "20")).retention.events == 20
    with pytest.raises(ConfigError, match=r"span 10 d.* retention\.objects to 31"):
        make(two.replace("KEEP", "21"))


@pytest.mark.parametrize(("before", "after", "words"), MISTAKES)
def test_mistakes(make: Callable[[str], Any], before: str, after: str, words: list[str]) -> None:
    assert before in GOOD
    with pytest.raises(ConfigError) as caught:
        make(GOOD.replace(before, after, 1))
    message = str(caught.value)
    assert "mine.yml" in message
    for word in words:
        assert word in message


def test_all_problems_at_once(make: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make("name: mine\nversion: 1\nfoo: 1\nchannels: {one: {bar: 2}}\n")
    assert "foo" in str(caught.value)
    assert "channels.one.bar" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml.*kilonova"):
        load(tmp_path / "nowhere.yml")


def test_not_yaml(make: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        make("a: [")
    with pytest.raises(ConfigError, match=r"mine\.yml"):
        make("- just\n- a list\n")
    with pytest.raises(ConfigError, match=r"mine\.yml"):
        make("")


def test_an_absent_catalogue(make: Callable[[str], Any]) -> None:
    text = GOOD.replace(
        "- unit: SkyMapProbability",
        "- unit: CatalogMatch\n        config: {catalogs: {NEDz: {radius_arcsec: 5}}}\n"
        "      - unit: SkyMapProbability",
    )
    with pytest.raises(CatalogError) as caught:
        make(text)
    assert isinstance(caught.value, AmpelstreamError)
    for word in ("mine.yml", "NEDz", "ampelstream catalogs add"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file: nothing stands here; it must be keys with values"),
        (b"- 1\n", "the file: this is something else; it must be keys with values"),
        (b"\xff\xfe", "cannot be read: it is not text in UTF-8"),
        (None, "cannot be read: Is a directory"),
        (
            GOOD.replace("[0, 5]", "[0, 80]").encode(),
            "Set retention.objects to 140 or more",
        ),
    ],
)
def test_messages_are_no_words_of_a_library(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in str(caught.value)
    assert "(got " not in str(caught.value)
    assert "Errno" not in str(caught.value)
