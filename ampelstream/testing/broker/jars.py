"""Apache Kafka's jars, fetched once with Maven, and the Java that runs them."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.directory import alone

__all__ = ["DEFAULT_VERSION", "cache_root", "cached", "fetch", "find_java"]

DEFAULT_VERSION = "4.3.0"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_SECONDS = 600.0
# slf4j-simple because Kafka's own dependencies bring no binding, and without one its log is lost;
# 1.7.36 is the interface that both 3.9 and 4.3 are built on.
_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ampelstream</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


def cache_root() -> Path:
    """Directory of fetched jars: ``ampelstream`` in ``$XDG_CACHE_HOME``, else in ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "ampelstream"


def cached(version: str, root: Path | None = None) -> bool:
    """Whether the jars of a version have been fetched."""
    return ((cache_root() if root is None else root) / f"kafka-{version}").is_dir()


def find_java() -> str:
    """Path of the ``java`` to run: of ``$JAVA_HOME`` if that has one, else of the ``PATH``.

    Raises
    ------
    BrokerError
        There is none.
    """
    home = os.environ.get("JAVA_HOME")
    own = shutil.which("java", path=Path(home) / "bin") if home else None
    found = own or shutil.which("java")
    if found is None:
        raise BrokerError(
            "Kafka needs Java, and there is no java in JAVA_HOME or the PATH; install Java 17 or "
            "later (on Debian: apt install default-jdk-headless)"
        )
    return found


def fetch(version: str = DEFAULT_VERSION, root: Path | None = None) -> Path:
    """Directory of Kafka's jars; fetched from Maven Central where it is not there yet.

    Parameters
    ----------
    version
        Kafka's version, such as ``4.3.0``.
    root
        Where jars are kept; by default `cache_root`.

    Raises
    ------
    BrokerError
        The version is none, Maven is missing, or Maven failed.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise BrokerError(f"{version!r} is no version of Kafka; write it as {DEFAULT_VERSION}")
    root = cache_root() if root is None else root
    target = root / f"kafka-{version}"
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(
            f"Kafka {version} is not in {target}, and there is no mvn in the PATH to fetch it; "
            "install Maven (on Debian: apt install maven)"
        )
    root.mkdir(parents=True, exist_ok=True)
    # one at a time: two Mavens that fill one local repository get in each other's way
    with alone(root / f".fetching-{version}"):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix=".kafka-", dir=root) as scratch:
                _copy_jars(maven, version, Path(scratch))
                (Path(scratch) / "libs").rename(target)
    return target


def _copy_jars(maven: str, version: str, scratch: Path) -> None:
    """Let Maven put the jars into ``libs`` of a directory."""
    pom = scratch / "pom.xml"
    pom.write_text(_POM.format(version=version))
    command = [maven, "-q", "-B", "-ntp", "-Dstyle.color=never", "-f", str(pom), _PLUGIN]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={scratch / 'libs'}", "-DincludeScope=runtime"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(
            f"mvn did not fetch Kafka {version} within {_FETCH_SECONDS:.0f} s; check the network"
        ) from error
    if done.returncode:
        said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "nothing said")
        raise BrokerError(
            f"mvn could not fetch Kafka {version} (exit code {done.returncode}): {said}; check "
            "the version, the network and Maven's settings"
        )
