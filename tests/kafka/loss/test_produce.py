"""Loss paths L4 and L5: what was produced does not arrive; plain agents, stock and ours."""

from collections.abc import Callable
from typing import Any

import pytest

from ampelstream.runtime.broker.broker import Broker

pytestmark = pytest.mark.slow
TOO_SMALL = {"max_message_bytes": "2000"}


def numbers(count: int) -> list[tuple[bytes | None, bytes]]:
    return [(None, str(number).encode()) for number in range(count)]


def make_topics(lab: Any, **target_configs: str) -> None:
    lab.create(lab.source)
    lab.create(lab.changelog("texts"), **target_configs)
    lab.create(lab.output, **target_configs)


def target(lab: Any, where: str) -> str:
    return str(lab.output if where == "output" else lab.changelog("texts"))


@pytest.mark.parametrize("variant", ["stock", "ours"])
@pytest.mark.parametrize("where", ["changelog", "output"])
def test_l4_commit_after_a_refusal(lab: Any, where: str, variant: str) -> None:
    """The topic takes no record of that size; stock writes a line to its log."""
    make_topics(lab, **TOO_SMALL)
    lab.put(lab.source, numbers(8))
    result = lab.play("produce.failing", variant, where=where, records=8)
    assert lab.values(target(lab, where)) == []
    if variant == "stock":
        assert (lab.committed(), result["crash"]) == (8, None)
    else:
        assert lab.committed() == 0
        assert "ProduceError" in result["crash"]


@pytest.mark.parametrize("where", ["changelog", "output"])
def test_l4_no_commit_past_a_silence(
    own_broker: Broker, make_lab: Callable[[str], Any], where: str
) -> None:
    """The broker is silent for longer than our producer waits (1.5 s)."""
    lab = make_lab(own_broker.address)
    make_topics(lab)
    lab.put(lab.source, numbers(100))
    scenario = lab.begin("produce.failing", "ours", where=where, records=100, gate=True)
    assert scenario.line() == "fetched"
    own_broker.pause()
    scenario.go()
    with pytest.raises(TimeoutError):
        scenario.wait(3.0)
    own_broker.resume()
    result = scenario.result()
    assert result["crash"] is not None
    assert lab.committed() <= len(lab.values(target(lab, where))) < 100


@pytest.mark.parametrize("variant", ["stock", "ours"])
@pytest.mark.parametrize("where", ["changelog", "output"])
def test_l5_commit_before_all_is_sent(
    own_broker: Broker, make_lab: Callable[[str], Any], where: str, variant: str
) -> None:
    """The broker is paused while 200 records are handled; the process dies right after a commit.

    Stock waits for what its client has taken, but not for what waits before that.
    """
    lab = make_lab(own_broker.address)
    make_topics(lab)
    lab.put(lab.source, numbers(200))
    scenario = lab.begin("produce.slow", variant, where=where, soon=True)
    assert scenario.line() == "fetched"
    own_broker.pause()
    scenario.go()
    with pytest.raises(TimeoutError):  # nothing is committed meanwhile
        scenario.wait(1.5)
    own_broker.resume()
    result = scenario.result()
    arrived = len(lab.values(target(lab, where)))
    assert lab.committed() == result["committed"]
    if variant == "stock":
        assert result["unsent"] > 0
        assert arrived < result["committed"]
    else:
        assert result["unsent"] == 0
        assert arrived >= result["committed"] > 0
