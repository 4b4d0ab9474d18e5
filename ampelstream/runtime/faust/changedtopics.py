"""What to do about a topic that changed while workers ran: by its kind, and by what happened.

Most topics carry what is on its way, and are made again while state and ledger stay. A changelog is
the copy of a state: without it that state is good for nothing.
"""

from ampelstream.runtime.kafka.names import OBJECTS, PARKED_STEP, REACT, TopicNames
from ampelstream.runtime.kafka.plan import wanted_topics
from ampelstream.runtime.safefaust.topicwatch import Change, Remedy
from ampelstream.topology.spec import KafkaSpec

__all__ = ["remedies"]


def remedies(names: TopicNames, create: str) -> Remedy:
    """Give what says it, for the topics of a topology.

    Parameters
    ----------
    names
        Of the topology.
    create
        The command that creates its topics.
    """
    changelogs = {names.changelog(step) for step in (OBJECTS, REACT, PARKED_STEP)}
    own = {one.name for one in wanted_topics(names, KafkaSpec(), 1)}

    def remedy(topic: str, change: Change) -> str:
        if topic in changelogs:
            return (
                "it is a changelog, and what the state on disk holds cannot be brought back into "
                "it. Stop the workers and begin anew, as deploy/README.md says under `A topic was "
                "deleted and made again`; what was sent is then sent again"
            )
        make = f"make it again ({create})" if topic in own else "have it made again"
        before = {Change.DELETED: f"{make}, and ", Change.GROWN: f"delete it, {make}, and "}
        start = "start the workers"
        if topic == names.topology_log:  # nobody knows then what worked
            start += " once with --from-now-on"
        return (
            f"{before.get(change, '')}{start}. State and ledger stay as they are; what it held and "
            "was not read is gone"
        )

    return remedy
