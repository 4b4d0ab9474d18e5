"""Where alerts and notices come from: clusters, and topics on them."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.secrets import Secret, Strict, Text
from ampelstream.topology.yamlfile import parse

__all__ = [
    "InputSpec",
    "RegistrySpec",
    "SourcesSpec",
    "default_sources",
    "load_connection",
    "load_sources",
]

_TopicName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="Letters, digits, dots, hyphens and underscores.",
    ),
]


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def expression(topics: Iterable[str], pattern: str | None) -> str:
    """Give a regular expression for topics that are named, or have a pattern."""
    return pattern or "|".join(map(re.escape, topics))


class InputSpec(Strict):
    """Topics of one cluster.

    Attributes
    ----------
    cluster
        Its name among the clusters of the file; None for our own cluster.
    topics
        Their names.
    pattern
        Instead, a regular expression that their whole names match; topics that appear later too.
    """

    cluster: str | None = None
    topics: Annotated[tuple[_TopicName, ...], BeforeValidator(_listed)] = ()
    pattern: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> "InputSpec":
        if bool(self.topics) == (self.pattern is not None):
            raise ValueError("say either topics or pattern")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is not a regular expression: {error}") from error
        return self

    def matches(self, topic: str) -> bool:
        """Whether the topic is one of these; Kafka's internal topics never are."""
        if self.pattern is None:
            return topic in self.topics
        return not topic.startswith("__") and re.fullmatch(self.pattern, topic) is not None

    @property
    def expression(self) -> str:
        """A regular expression for the names of all of them."""
        return expression(self.topics, self.pattern)

    def describe(self) -> str:
        """For people: which topics, and where."""
        what = f"/{self.pattern}/" if self.pattern is not None else ", ".join(self.topics)
        return f"{what} on {self.cluster or 'our own cluster'}"


class RegistrySpec(Strict):
    """A Confluent schema registry, for packets that name their schema by a number."""

    url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^@\s]+$",
            description="Begins with http:// or https:// and holds no password.",
        ),
    ]
    username: Text | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _both(self) -> "RegistrySpec":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self


class SourcesSpec(Strict):
    """A whole file of sources.

    Attributes
    ----------
    clusters
        Clusters that are not our own, by name.
    registry
        Where schemas are looked up.
    alerts, notices
        What is read; an empty list reads none.
    """

    clusters: dict[str, Connection] = Field(default_factory=dict)
    registry: RegistrySpec | None = None
    alerts: tuple[InputSpec, ...] = ()
    notices: tuple[InputSpec, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "SourcesSpec":
        if not self.alerts and not self.notices:
            raise ValueError("names neither alerts nor notices; nothing would be read")
        for entry, one in self._inputs():
            if one.cluster is not None and one.cluster not in self.clusters:
                known = ", ".join(sorted(self.clusters)) or "none"
                raise ValueError(f"{entry}.cluster: there is no cluster {one.cluster}; {known}")
        seen: dict[tuple[str | None, str], str] = {}
        for entry, one in self._inputs():
            for topic in one.topics:
                other = seen.setdefault((one.cluster, topic), entry)
                if other != entry or one.topics.count(topic) > 1:
                    raise ValueError(f"{entry}.topics: {topic} stands in {other} already")
        self._check_patterns(seen)
        return self

    def _inputs(self) -> Iterator[tuple[str, InputSpec]]:
        for name in ("alerts", "notices"):
            for number, one in enumerate(getattr(self, name)):
                yield f"{name}.{number}", one

    def _check_patterns(self, topics: dict[tuple[str | None, str], str]) -> None:
        """A topic that is read twice would count twice."""
        for entry, one in self._inputs():
            for (cluster, topic), other in topics.items():
                if one.pattern is not None and cluster == one.cluster and one.matches(topic):
                    raise ValueError(f"{entry}.pattern: matches {topic} of {other}; name it once")


def default_sources(names: TopicNames) -> SourcesSpec:
    """Our own cluster's topics of alerts and notices."""
    return SourcesSpec(
        alerts=(InputSpec(topics=(names.alerts,)),),
        notices=(InputSpec(topics=(names.notices,)),),
    )


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{what} {path} cannot be read: {reason}") from None


def load_sources(path: Path) -> SourcesSpec:
    """Read a file of sources.

    Raises
    ------
    ConfigError
        It cannot be read, or says what it may not: file, line and key are named, values are not.
    """
    return parse(_read(path, "sources file"), path, SourcesSpec, quote=False)


def load_connection(where: str) -> Connection:
    """Give the connection that an address, or a file, stands for.

    Parameters
    ----------
    where
        host:port, several with commas; or the path of a YAML file that holds one connection.

    Raises
    ------
    ConfigError
        The file cannot be read or is not valid, or there is no address.
    """
    path = Path(where)
    if path.suffix in {".yml", ".yaml"} or path.is_file():
        return parse(_read(path, "connection file"), path, Connection, quote=False)
    if not where.strip(", "):
        raise ConfigError("no address of a broker; give host:port, or a YAML file")
    return Connection(bootstrap=where)
