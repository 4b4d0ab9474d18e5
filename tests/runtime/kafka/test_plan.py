"""The topics of a topology, and what is to be done about them."""

import dataclasses

import pytest

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import (
    Action,
    FoundTopic,
    WantedTopic,
    check_partitions,
    compare,
    partition_count,
    wanted_topics,
)
from ampelstream.topology.spec import KafkaSpec, TopologySpec

NAMES = TopicNames("mine")
TOGETHER = {
    "ampel.mine.detections",
    "ampel.mine.events",
    "ampel.mine.candidates",
    "ampel.mine.objects-state-changelog",
    "ampel.mine.react-state-changelog",
    "ampel.mine.parked",
    "ampel.mine.ingest.parked-state-changelog",
}


def wanted(brokers: int = 1, **spec: object) -> dict[str, WantedTopic]:
    topics = wanted_topics(NAMES, KafkaSpec.model_validate(spec), brokers)
    assert len({one.name for one in topics}) == len(topics) == 12
    return {one.name: one for one in topics}


def as_found(topics: dict[str, WantedTopic]) -> dict[str, FoundTopic]:
    return {
        one.name: FoundTopic(one.name, one.partitions, one.replication, dict(one.config))
        for one in topics.values()
    }


def test_what_is_keyed_is_partitioned_alike() -> None:
    topics = wanted(partitions=8)
    assert {one.name for one in topics.values() if one.together} == TOGETHER
    assert {one.partitions for one in topics.values() if one.together} == {8}
    assert topics[NAMES.alerts].partitions == 8
    assert topics[NAMES.notices].partitions == topics[NAMES.dead_letters].partitions == 1


def test_what_has_a_last_word_is_compacted_and_what_passes_expires() -> None:
    topics = wanted(retention_days={"alerts": 0.5})
    compact = {one.name for one in topics.values() if one.config["cleanup.policy"] == "compact"}
    assert compact == TOGETHER - {NAMES.detections, NAMES.events, NAMES.parked} | {NAMES.reactions}
    for one in topics.values():
        assert ("retention.ms" in one.config) == (one.name not in compact)
        assert one.config["max.message.bytes"] == str(16 * 1024 * 1024)
    assert topics[NAMES.alerts].config["retention.ms"] == str(12 * 3600 * 1000)


def test_replication_follows_the_cluster() -> None:
    def copies(brokers: int, **spec: object) -> tuple[set[int], set[str | None]]:
        topics = wanted(brokers, **spec).values()
        return (
            {one.replication for one in topics},
            {one.config.get("min.insync.replicas") for one in topics},
        )

    assert copies(1) == ({1}, {None})
    assert copies(2) == ({2}, {None})
    assert copies(5) == ({3}, {"2"})
    assert copies(5, replication=5) == ({5}, {"2"})
    with pytest.raises(ConfigError, match="the cluster has 1"):
        wanted(1, replication=2)


def test_a_name_that_kafka_does_not_take() -> None:
    with pytest.raises(ConfigError, match="shorter name"):
        wanted_topics(TopicNames("n" * 240), KafkaSpec(), 1)


def test_comparison() -> None:
    topics = wanted(brokers=3)
    found = as_found(topics)
    assert {one.action for one in compare(topics.values(), {})} == {Action.CREATE}
    assert {one.action for one in compare(topics.values(), found)} == {Action.KEEP}
    found[NAMES.detections] = dataclasses.replace(found[NAMES.detections], partitions=5)
    found[NAMES.alerts] = dataclasses.replace(found[NAMES.alerts], partitions=5, replication=1)
    reactions = found[NAMES.reactions]
    changed = {**reactions.config, "cleanup.policy": "delete"}
    found[NAMES.reactions] = dataclasses.replace(reactions, config=changed)
    del found[NAMES.parked]
    plan = {one.wanted.name: one for one in compare(topics.values(), found)}
    assert plan[NAMES.detections].action is Action.CONFLICT
    assert "5 partitions, not 4" in plan[NAMES.detections].remark
    assert plan[NAMES.alerts].action is Action.KEEP
    assert "5 partitions" in plan[NAMES.alerts].remark
    assert "1 copies, not 3" in plan[NAMES.alerts].remark
    assert plan[NAMES.reactions].action is Action.ALTER
    assert plan[NAMES.reactions].changes == {"cleanup.policy": ("delete", "compact")}
    assert plan[NAMES.parked].action is Action.CREATE
    assert plan[NAMES.events].action is Action.KEEP


def test_a_start_needs_every_topic_and_one_count() -> None:
    topics = wanted(partitions=3)
    found = as_found(topics)
    needed = tuple(topics.values())
    assert partition_count(needed, found, "create them") == 3
    found[NAMES.alerts] = dataclasses.replace(found[NAMES.alerts], partitions=7)
    assert partition_count(needed, found, "create them") == 3
    del found[NAMES.events], found[NAMES.parked]
    found[NAMES.candidates] = dataclasses.replace(found[NAMES.candidates], partitions=2)
    with pytest.raises(ConfigError) as caught:
        partition_count(needed, found, "create them")
    text = str(caught.value)
    for words in (
        f"{NAMES.events} does not exist",
        f"{NAMES.parked} does not exist",
        f"{NAMES.candidates} has 2 partitions",
        f"{NAMES.detections} has 3 partitions",
        "create them",
    ):
        assert words in text
    assert NAMES.alerts not in text


def test_a_start_refuses_a_file_that_says_other_partitions_than_the_topics_have() -> None:
    topics = wanted(partitions=3)
    needed, found = tuple(topics.values()), as_found(topics)
    assert partition_count(needed, found, "create them", 3) == 3
    with pytest.raises(ConfigError, match=r"says kafka.partitions: 8, and its topics have 3"):
        partition_count(needed, found, "create them", 8)


def test_the_default_of_a_file_says_nothing_of_partitions() -> None:
    assert KafkaSpec.model_validate({"replication": 1}).said_partitions is None
    assert KafkaSpec.model_validate({"partitions": 4}).said_partitions == 4


def test_a_start_refuses_a_clean_up_that_loses_state() -> None:
    topics = wanted(partitions=3)
    found = as_found(topics)
    changelog = found[NAMES.changelog("objects")]
    expiring = {**changelog.config, "cleanup.policy": "delete"}
    found[changelog.name] = dataclasses.replace(changelog, config=expiring)
    with pytest.raises(ConfigError, match="policy delete, and must have compact"):
        partition_count(tuple(topics.values()), found, "create them")


def test_objects_that_are_joined_lie_in_one_partition() -> None:
    channel = {"follow": "none", "associate": {"radius_arcsec": 1}}
    spec = TopologySpec.model_validate({"name": "a", "version": "1", "channels": {"one": channel}})
    check_partitions(spec, 1)
    with pytest.raises(ConfigError, match=r"channels.one.associate .* there are 4. Write `kafka"):
        check_partitions(spec, 4)
    check_partitions(TopologySpec.model_validate(spec.model_dump() | {"channels": {"a": {}}}), 4)
