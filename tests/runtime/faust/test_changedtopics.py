"""What is advised for a topic that changed: never more than is needed."""

import pytest

from ampelstream.runtime.faust.changedtopics import remedies
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.safefaust.topicwatch import Change

NAMES = TopicNames("kilonova")
CREATE = "ampelstream topics create kilonova --broker b:1 --yes"
CARRYING = [NAMES.alerts, NAMES.notices, NAMES.detections, NAMES.events, NAMES.candidates]
CARRYING += [NAMES.reactions, NAMES.dead_letters, NAMES.parked]
STATES = [NAMES.changelog(step) for step in ("objects", "react", "ingest.parked")]


@pytest.mark.parametrize("topic", CARRYING)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change.DELETED, f"make it again ({CREATE}), and start the workers. State and ledger stay"),
        (Change.MADE_ANEW, "start the workers. State and ledger stay"),
        (Change.GROWN, f"delete it, make it again ({CREATE}), and start the workers. State and"),
    ],
)
def test_what_carries_records_costs_no_state(topic: str, change: Change, words: str) -> None:
    assert remedies(NAMES, CREATE)(topic, change).startswith(words)


@pytest.mark.parametrize("topic", STATES)
@pytest.mark.parametrize("change", Change)
def test_without_a_changelog_all_begins_anew(topic: str, change: Change) -> None:
    text = remedies(NAMES, CREATE)(topic, change)
    assert "begin anew, as deploy/README.md says" in text
    assert CREATE not in text


def test_the_topics_of_others_and_that_of_topologies() -> None:
    remedy = remedies(NAMES, CREATE)
    assert remedy("ztf-copy", Change.DELETED).startswith("have it made again, and start the")
    assert "workers once with --from-now-on" in remedy(NAMES.topology_log, Change.DELETED)
