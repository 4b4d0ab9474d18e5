"""The reaction boundary: what one sink does concerns no other."""

import logging

import pytest

from ampelstream.errors import ConfigError
from ampelstream.model.reaction import Reaction
from ampelstream.reactions.dispatch import Dispatcher


class Named:
    """Takes reactions, except while it is broken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.broken = False
        self.taken: list[str] = []

    def send(self, reaction: Reaction) -> None:
        if self.broken:
            raise OSError("no route to host")
        self.taken.append(reaction.id)


@pytest.fixture
def reaction() -> Reaction:
    return Reaction("0123", "bright", "kilonova", "SIM1", "ZTF17aaa", "kilonova", "new", {})


def test_each_sink_is_asked_until_it_took_it(
    reaction: Reaction, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (Named(name) for name in ("first", "second", "third"))
    dispatcher = Dispatcher({"bright": [first, second, third], "faint": [first]})
    second.broken = True
    with caplog.at_level(logging.ERROR):
        assert dispatcher.deliver(reaction, ()) == ["first", "third"]
    assert "0123" in caplog.text
    assert "second" in caplog.text
    sent = ["first", "third"]
    assert dispatcher.missing("bright", sent) == [second.name]
    second.broken = False
    assert dispatcher.deliver(reaction, sent) == ["second"]
    assert dispatcher.deliver(reaction, [*sent, "second"]) == []
    assert [len(sink.taken) for sink in (first, second, third)] == [1, 1, 1]


def test_a_rule_that_is_gone_has_no_sinks(reaction: Reaction) -> None:
    dispatcher = Dispatcher({"faint": [Named("first")]})
    assert dispatcher.missing("bright", ()) == []
    assert dispatcher.deliver(reaction, ()) == []


def test_two_sinks_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="rule bright"):
        Dispatcher({"bright": [Named("mail"), Named("mail")]})
