"""Fetching Kafka: what is missing is told, and nothing is fetched twice."""

import stat
import threading
from pathlib import Path

import pytest

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.jars import cache_root, cached, fetch, find_java

MAVEN = """#!/bin/sh
echo run >> "{log}"
for word in "$@"; do case "$word" in -DoutputDirectory=*) out="${{word#*=}}";; esac; done
sleep 0.2
mkdir "$out" && echo jar > "$out/kafka.jar"
"""
FAILING = """#!/bin/sh
echo '[ERROR] Could not find artifact org.apache.kafka:kafka_2.13:jar:9.9.9'
exit 1
"""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no program at all, and an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return programs


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_missing_programs_are_told(empty: Path, tmp_path: Path) -> None:
    assert empty.is_dir()
    with pytest.raises(BrokerError, match="apt install default-jdk-headless"):
        find_java()
    with pytest.raises(BrokerError, match="apt install maven"):
        Broker(tmp_path / "broker").start()


def test_java_home_comes_first(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = empty.parent / "java"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("JAVA_HOME", str(home))
    program(empty / "java", "#!/bin/sh\n")
    assert find_java() == str(empty / "java")  # the home has none
    program(home / "bin" / "java", "#!/bin/sh\n")
    assert find_java() == str(home / "bin" / "java")


def test_a_version_is_checked_before_it_becomes_a_path(empty: Path) -> None:
    for version in ("4.3", "../4.3.0", "4.3.0</version>"):
        with pytest.raises(BrokerError, match="no version of Kafka"):
            fetch(version, empty)


def test_fetched_once_by_many(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{empty}:/usr/bin:/bin")
    log = tmp_path / "log"
    program(empty / "mvn", MAVEN.format(log=log))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch("4.3.0"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target = cache_root() / "kafka-4.3.0"
    assert found == [target] * 4
    assert [path.name for path in target.iterdir()] == ["kafka.jar"]
    assert log.read_text().splitlines() == ["run"]
    assert cached("4.3.0")
    assert [path.name for path in cache_root().iterdir() if path.is_dir()] == ["kafka-4.3.0"]


def test_a_failing_maven_leaves_nothing(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{empty}:/usr/bin:/bin")
    program(empty / "mvn", FAILING)
    with pytest.raises(BrokerError, match="Could not find artifact"):
        fetch("9.9.9")
    assert not cached("9.9.9")
    assert [path for path in cache_root().iterdir() if path.is_dir()] == []
