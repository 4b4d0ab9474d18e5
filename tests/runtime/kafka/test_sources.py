"""Files of sources."""

from pathlib import Path

import pytest

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.sources import SourcesSpec, default_sources, load_sources

WHOLE = """
clusters:
  ztf:
    bootstrap: a:9092
    security: SASL_SSL
    mechanism: SCRAM-SHA-256
    username: me
    password: {env: ZTF_PASSWORD}
  gcn: {bootstrap: "b,c"}
registry: {url: "https://registry.example.org", username: me, password: {file: secret}}
alerts:
  - {cluster: ztf, pattern: 'ztf_[0-9]{8}_programid1'}
  - {topics: more-alerts}
notices:
  - {cluster: gcn, topics: [igwn.gwalert]}
"""


def read(tmp_path: Path, text: str) -> SourcesSpec:
    path = tmp_path / "sources.yml"
    path.write_text(text)
    return load_sources(path)


def test_a_whole_file(tmp_path: Path) -> None:
    spec = read(tmp_path, WHOLE)
    nightly, more = spec.alerts
    assert nightly.matches("ztf_20240115_programid1")
    assert not nightly.matches("ztf_20240115_programid1_old")
    assert not nightly.matches("my_ztf_20240115_programid1")
    assert more.topics == ("more-alerts",)
    assert more.cluster is None
    assert more.matches("more-alerts")
    assert spec.clusters["gcn"].bootstrap == ("b", "c")
    assert nightly.describe() == "/ztf_[0-9]{8}_programid1/ on ztf"
    assert more.describe() == "more-alerts on our own cluster"


def test_a_pattern_never_means_internal_topics(tmp_path: Path) -> None:
    spec = read(tmp_path, "alerts: [{pattern: '.*'}]")
    assert spec.alerts[0].matches("anything")
    assert not spec.alerts[0].matches("__consumer_offsets")


def test_without_a_file_our_own_topics_are_read() -> None:
    spec = default_sources(TopicNames("mine"))
    assert spec.alerts[0].topics == ("ampel.mine.alerts",)
    assert spec.notices[0].topics == ("ampel.mine.notices",)
    assert spec.notices[0].cluster is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alerts: []", ["neither alerts nor notices"]),
        ("alerts: [{topics: [a], pattern: b}]", ["alerts.0", "either topics or pattern"]),
        ("alerts: [{cluster: own}]", [":1", "alerts.0", "either"]),
        ("alerts: [{pattern: '('}]", ["alerts.0", "regular expression"]),
        ("alerts: [{cluster: ztf, topics: [a]}]", ["alerts.0.cluster", "no cluster ztf"]),
        ("alerts: [{topics: [a]}, {topics: [b, a]}]", ["alerts.1", "a stands in alerts.0"]),
        ("alerts: [{topics: [a, a]}]", ["a stands in alerts.0"]),
        ("alerts: [{topics: [a]}]\nnotices: [{topics: [a]}]", ["notices.0", "alerts.0"]),
        ("alerts: [{topics: [a1]}, {pattern: 'a.'}]", ["alerts.1.pattern", "a1"]),
        ("alerts: [{topics: ['a b']}]", ["alerts.0.topics.0", "Letters, digits, dots"]),
        ("alerts:\n - topic: a", [":2", "alerts.0.topic", "did you mean topics"]),
        ("clusters: {a: {}}\nalerts: [{topics: [a]}]", ["clusters.a.bootstrap", "missing"]),
        (
            "registry: {url: 'https://u:p@x'}\nalerts: [{topics: a}]",
            ["registry.url", "no password"],
        ),
        ("registry: {url: 'https://x', username: a}\nalerts: [{topics: a}]", ["belong together"]),
        ("- a", ["the file"]),
        ("", ["the file"]),
    ],
)
def test_mistakes_name_file_and_key(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    for word in ("sources.yml", *words):
        assert word in str(caught.value)


def test_one_topic_name_on_two_clusters_is_two_topics(tmp_path: Path) -> None:
    text = "clusters: {b: {bootstrap: b}}\nalerts: [{topics: [a]}, {cluster: b, topics: [a]}]"
    assert len(read(tmp_path, text).alerts) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yml cannot be read"):
        load_sources(tmp_path / "gone.yml")
