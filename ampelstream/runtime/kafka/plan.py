"""The topics that a topology wants, held against those that exist."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.names import OBJECTS, PARKED_STEP, REACT, TopicNames
from ampelstream.runtime.safefaust.outbox import MAX_MESSAGE_BYTES
from ampelstream.topology.spec import KafkaSpec, TopologySpec

__all__ = [
    "KEEP_REMOVALS_DAYS",
    "Action",
    "FoundTopic",
    "PlannedTopic",
    "WantedTopic",
    "all_names",
    "check_partitions",
    "compare",
    "partition_count",
    "wanted_topics",
]

KEEP_REMOVALS_DAYS = 7
"""For how long a changelog keeps that a key was removed [d]."""
_DAY_MS = 86_400_000
_USUAL_REPLICATION = 3
_LONGEST_NAME = 249
# packets, sky maps and state values go through whole
_LARGE = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
_COMPACT = {"cleanup.policy": "compact"}
_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_NOT_YET = {"min.compaction.lag.ms": str(_DAY_MS)}
"""A reader that is a day behind still sees every revision."""
_CHANGELOG = (
    _COMPACT
    | _LARGE
    # a restore reads what is not compacted yet: compact early, close segments soon
    | {
        "min.cleanable.dirty.ratio": "0.2",
        "segment.bytes": str(128 << 20),
        "segment.ms": str(6 * 3_600_000),
        # a database that is older than this could miss a removal; see PartitionStore
        "delete.retention.ms": str(KEEP_REMOVALS_DAYS * _DAY_MS),
    }
)


class Action(StrEnum):
    """What is to be done about a topic."""

    CREATE = "create"
    KEEP = "keep"
    ALTER = "alter"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as the topology wants it.

    Attributes
    ----------
    name
        Its name.
    partitions, replication
        How many partitions, and copies of each.
    config
        Settings that differ from the broker's.
    together
        Whether its records are found by their partition, so that its count must be that of the
        other such topics.
    """

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] = field(default_factory=dict)
    together: bool = False


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it is; ``config`` holds the values in force, ``own`` those set on the topic."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedTopic:
    """What is to be done about one topic.

    Attributes
    ----------
    wanted, found
        The topic; None where it is not there.
    action
        What is to be done.
    changes
        Settings to alter: (what it is, what it becomes).
    remark
        What a person should know.
    """

    wanted: WantedTopic
    found: FoundTopic | None
    action: Action
    changes: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    remark: str = ""


def _kept(days: float) -> dict[str, str]:
    """Settings of a topic that forgets: by arrival, whatever time the producer wrote."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(round(days * _DAY_MS)),
        "message.timestamp.type": "LogAppendTime",
    }


def check_partitions(spec: TopologySpec, partitions: int) -> None:
    """Refuse to part objects that a channel joins.

    Raises
    ------
    ConfigError
        A channel joins light curves of objects at one position (``associate``), and they would lie
        in several partitions, each with a state of its own.
    """
    joins = [name for name, one in spec.channels.items() if one.associate is not None]
    if joins and partitions > 1:
        raise ConfigError(
            f"channels.{joins[0]}.associate joins light curves of objects at one position, which "
            f"must then lie in one partition; there are {partitions}. Write `kafka: {{partitions: "
            "1}}` into the topology, under a new name where its topics are there already"
        )


def wanted_topics(names: TopicNames, spec: KafkaSpec, brokers: int) -> tuple[WantedTopic, ...]:
    """All topics of a topology.

    Parameters
    ----------
    names
        What they are called.
    spec
        What the topology says of them.
    brokers
        How many brokers the cluster has; there cannot be more copies than these.

    Raises
    ------
    ConfigError
        A name is longer than Kafka allows, or there are fewer brokers than copies.
    """
    replication = spec.replication or min(_USUAL_REPLICATION, max(brokers, 1))
    if spec.replication is not None and spec.replication > brokers:
        raise ConfigError(
            f"{spec.replication} copies of each partition need as many brokers, and the cluster "
            f"has {brokers}; lower kafka.replication or --replication"
        )
    days, many = spec.retention_days, spec.partitions
    safe = {"min.insync.replicas": "2"} if replication >= _USUAL_REPLICATION else {}

    def topic(
        name: str, partitions: int, config: Mapping[str, str], *, together: bool = False
    ) -> WantedTopic:
        if len(name) > _LONGEST_NAME:
            raise ConfigError(
                f"topic name {name} has {len(name)} characters, Kafka allows {_LONGEST_NAME}; "
                "give the topology a shorter name"
            )
        return WantedTopic(name, partitions, replication, {**config, **safe}, together)

    return (
        topic(names.alerts, many, _kept(days.alerts) | _LARGE),
        topic(names.notices, 1, _kept(days.notices) | _LARGE),
        topic(names.detections, many, _kept(days.detections) | _LARGE, together=True),
        topic(names.events, many, _kept(days.events) | _LARGE, together=True),
        topic(names.candidates, many, _COMPACT | _LARGE | _NOT_YET, together=True),
        topic(names.reactions, many, _COMPACT | _LARGE),
        topic(names.dead_letters, 1, _kept(days.dead_letters) | _LARGE),
        topic(names.parked, many, _kept(days.parked) | _LARGE, together=True),
        topic(names.topology_log, 1, _FOR_EVER | _LARGE),
        topic(names.changelog(PARKED_STEP), many, _CHANGELOG, together=True),
        topic(names.changelog(OBJECTS), many, _CHANGELOG, together=True),
        topic(names.changelog(REACT), many, _CHANGELOG, together=True),
    )


def all_names(names: TopicNames) -> tuple[str, ...]:
    """Names of all topics of a topology."""
    return tuple(one.name for one in wanted_topics(names, KafkaSpec(), 1))


def _compared(wanted: WantedTopic, found: FoundTopic) -> PlannedTopic:
    if wanted.together and found.partitions != wanted.partitions:
        remark = (
            f"has {found.partitions} partitions, not {wanted.partitions}, and records would be "
            f"looked for in the wrong ones; say {found.partitions} (kafka.partitions or "
            "--partitions), or stop the workers, delete the topology's derived topics and its "
            "workers' state, and create them again"
        )
        return PlannedTopic(wanted, found, Action.CONFLICT, remark=remark)
    remarks = []
    if found.partitions != wanted.partitions:
        remarks.append(f"has {found.partitions} partitions, which does no harm")
    if found.replication < wanted.replication:
        remarks.append(
            f"has {found.replication} copies, not {wanted.replication}; reassign its partitions"
        )
    changes = {
        key: (found.config.get(key), value)
        for key, value in wanted.config.items()
        if found.config.get(key) != value
    }
    action = Action.ALTER if changes else Action.KEEP
    return PlannedTopic(wanted, found, action, changes, "; ".join(remarks))


def compare(
    wanted: Iterable[WantedTopic], found: Mapping[str, FoundTopic]
) -> tuple[PlannedTopic, ...]:
    """Say for each wanted topic what is to be done; one plan applied leaves nothing to do."""
    return tuple(
        _compared(one, found[one.name])
        if one.name in found
        else PlannedTopic(one, None, Action.CREATE)
        for one in wanted
    )


def _wrong_policies(
    wanted: Sequence[WantedTopic], found: Mapping[str, FoundTopic]
) -> Iterator[str]:
    """Topics whose clean-up would lose state, or leave holes where none may be."""
    for one in wanted:
        policy, is_now = one.config.get("cleanup.policy"), found.get(one.name)
        if policy is None or is_now is None:
            continue
        has = is_now.config.get("cleanup.policy", policy)
        if one.together and has != policy:
            yield f"topic {one.name} has cleanup.policy {has}, and must have {policy}"


def partition_count(
    wanted: Sequence[WantedTopic],
    found: Mapping[str, FoundTopic],
    create: str,
    said: int | None = None,
) -> int:
    """Check that a topology can start; give the number of its partitions.

    The count is what the topics have. Changing it would make the records of an object go where its
    state is not, so a file that says another one is refused.

    Parameters
    ----------
    wanted
        The topics that are needed; without inputs that are read from elsewhere.
    found
        Those that exist.
    create
        The command that creates topics.
    said
        The count that the topology's file says; None where it says none.

    Raises
    ------
    ConfigError
        Topics are missing, or those that belong together have different counts, or another one than
        the file says; each is named.
    """
    faults = [f"topic {one.name} does not exist" for one in wanted if one.name not in found]
    together = [found[one.name] for one in wanted if one.together and one.name in found]
    counts = {one.partitions for one in together}
    if len(counts) > 1:
        faults.extend(
            f"topic {one.name} has {one.partitions} partitions, and must have as many as the others"
            for one in together
        )
    faults.extend(_wrong_policies(wanted, found))
    if faults:
        raise ConfigError(
            "\n".join([*faults, f"create missing topics with: {create}"])
            + ("\ndelete those of the wrong count first" if len(counts) > 1 else "")
        )
    if not counts:
        raise ConfigError(f"no topic of the topology is needed here; create them with: {create}")
    count = counts.pop()
    if said not in {None, count}:
        raise ConfigError(
            f"the topology's file says kafka.partitions: {said}, and its topics have {count}, "
            f"which cannot be changed: say {count}, or drop the line. For more partitions, run it "
            "under a new name beside the old one"
        )
    return count
