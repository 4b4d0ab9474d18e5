"""The life of a matter: new, withdrawn, reinstated; and each message once."""

import itertools
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ampelstream.core.accounting import Accounting
from ampelstream.core.react import React
from ampelstream.core.state import commit_order
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.reaction import Reaction
from ampelstream.model.streams import Record
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

RULES = """
name: rules
version: 1
channels: {all: {window: [0, 10], units: [{unit: SkyMapProbability}]}}
react:
  - {name: bright, when: "SkyMapProbability.cumprob < 0.5", sinks: [console]}
"""


def candidate(cumprob: float = 0.1, status: str = "active") -> Candidate:
    provenance = Provenance("rules", "1", "h", "l", "r", "e")
    body = {"cumprob": cumprob}
    result = UnitResult("SkyMapProbability", "SkyMapProbability", "1", "c", "i", body)
    results = (result,) if status == "active" else ()
    return Candidate("ZTF01", "S1", "all", CandidateStatus(status), provenance, results=results)


class Rules:
    """The react processor of one partition, fed by hand."""

    def __init__(self, topology: Topology, deliverer: Any = None) -> None:
        self.topology, self.deliverer = topology, deliverer
        self.backend = MemoryBackend()
        self.accounting = Accounting()
        self.now = 0.0
        self.reopen()

    def reopen(self) -> None:
        self.state = Transaction(self.backend)
        tally = self.accounting.tally()
        self.react = React(self.topology, self.state, tally, lambda: self.now, self.deliverer)

    def see(self, one: Candidate | bytes | None, offset: int = -1) -> list[Any]:
        where = Coordinates("candidates", 0, offset)
        return [o.value for o in self.react.process([Record(where, "candidates", one)])]

    def commit(self) -> None:
        self.state.commit()
        self.react.committed()


@pytest.fixture
def rules(make_topology: Callable[[str], Topology]) -> Rules:
    return Rules(make_topology(RULES))


def test_a_record_that_could_not_be_read_is_a_dead_letter(rules: Rules) -> None:
    where = Coordinates("candidates", 1, 5)
    [output] = rules.react.process([Record(where, "candidates", None, "offsets 5 to 9 are bad")])
    letter = output.value
    assert isinstance(letter, DeadLetter)
    assert (letter.where, letter.error, letter.reason) == (
        *(where, "SourceError", "offsets 5 to 9 are bad"),
    )
    assert rules.see(None) == []  # the candidate is none any longer


def test_new_withdrawn_reinstated(rules: Rules) -> None:
    seen = [
        *rules.see(candidate(0.9)),  # the condition does not hold: nothing to say
        *rules.see(candidate(0.1)),
        *rules.see(candidate(status="outside")),
        *rules.see(candidate(status="retracted")),  # is withdrawn already
        *rules.see(candidate(0.2)),
        *rules.see(candidate(0.9)),
        *rules.see(candidate(0.3)),
    ]
    assert [(one.klass, one.turn, one.reason) for one in seen] == [
        ("new", 1, ""),
        ("withdrawn", 2, "outside"),
        ("reinstated", 3, ""),
        ("withdrawn", 4, "condition"),
        ("reinstated", 5, ""),
    ]
    assert len({one.id for one in seen}) == 5


def test_the_last_message_says_what_is_known_now_and_is_not_sent_again(rules: Rules) -> None:
    [first] = rules.see(candidate(0.1))
    [again] = rules.see(candidate(0.2))
    assert again == msgspec.structs.replace(first, payload=again.payload)
    assert again.payload["SkyMapProbability"] == {"cumprob": 0.2}
    assert rules.see(candidate(0.2)) == []
    straight = Rules(rules.topology)
    assert straight.see(candidate(0.2)) == [again]
    rules.commit()
    assert rules.accounting.total("reactions", "bright", "decided") == 1


def test_what_a_restart_repeats_is_not_looked_at_again(rules: Rules) -> None:
    for offset, one in enumerate((candidate(0.1), candidate(status="outside"))):
        rules.see(one, offset)
    rules.commit()
    rules.reopen()
    assert rules.see(candidate(0.1), 0) == []
    assert rules.see(candidate(status="outside"), 1) == []
    assert [one.klass for one in rules.see(candidate(0.1), 2)] == ["reinstated"]
    rules.commit()
    assert rules.accounting.total("repeated", "bright") == 2


def test_a_rule_may_ask_for_a_status(make_topology: Callable[[str], Topology]) -> None:
    text = RULES.replace('"SkyMapProbability.cumprob < 0.5"', "\"status == 'retracted'\"")
    rules = Rules(make_topology(text))
    assert rules.see(candidate()) == []
    assert [one.klass for one in rules.see(candidate(status="retracted"))] == ["new"]


def test_what_is_no_candidate_is_a_dead_letter(rules: Rules) -> None:
    [letter] = rules.see(b"junk", 4)
    assert isinstance(letter, DeadLetter)
    assert (letter.where, letter.step) == (Coordinates("candidates", 0, 4), "react")
    assert rules.see(None, 5) == []


def test_a_rule_that_fails_names_the_candidate(
    rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> bool:
        raise RuntimeError("not today")

    monkeypatch.setattr("ampelstream.core.react._holds", broken)
    [letter] = rules.see(candidate())  # in memory, records have no coordinates that would tell
    assert letter.reason.startswith("rule bright on S1/ZTF01/all: not today")


class Sinks:
    """Two sinks, of which one fails as long as it is told to."""

    steady = "one"
    """Which one never fails."""

    def __init__(self) -> None:
        self.fails = True
        self.took: list[tuple[str, str]] = []

    def missing(self, _rule: str, sent: Collection[str]) -> list[str]:
        return [name for name in ("one", "other") if name not in sent]

    def deliver(self, reaction: Reaction, sent: Collection[str]) -> list[str]:
        able = [n for n in self.missing("", sent) if n == self.steady or not self.fails]
        self.took += [(name, reaction.id) for name in able]
        return able


def test_a_message_goes_to_each_sink_once(make_topology: Callable[[str], Topology]) -> None:
    sinks = Sinks()
    rules = Rules(make_topology(RULES), sinks)
    [message] = rules.see(candidate())
    rules.commit()
    assert rules.react.pending == 1
    rules.react.advance()
    rules.commit()
    assert sinks.took == [("one", message.id)]
    rules.react.advance()  # too soon
    rules.reopen()
    assert rules.react.pending == 1
    sinks.fails = False
    rules.react.advance()
    rules.commit()
    assert sinks.took == [("one", message.id), ("other", message.id)]
    rules.reopen()
    assert rules.react.pending == 0
    assert dict(rules.accounting.by("reactions", "bright")) == {
        "decided": 1,
        "failed": 1,
        "sent": 1,
    }


def test_a_new_message_does_not_have_those_of_a_failed_sink_tried_at_once(
    make_topology: Callable[[str], Topology],
) -> None:
    asked: list[str] = []

    class Asked(Sinks):
        def deliver(self, reaction: Reaction, sent: Collection[str]) -> list[str]:
            asked.append(reaction.object_id)
            return super().deliver(reaction, sent)

    rules = Rules(make_topology(RULES), Asked())
    for number in range(4):
        rules.see(msgspec.structs.replace(candidate(), object_id=f"ZTF{number}"))
        rules.commit()
        rules.react.advance()
    assert asked == ["ZTF0", "ZTF1", "ZTF2", "ZTF3"]
    rules.now += 60
    rules.react.advance()
    assert len(asked) == 8


def test_a_withdrawal_does_not_overtake_what_it_withdraws(
    make_topology: Callable[[str], Topology],
) -> None:
    sinks = Sinks()
    rules = Rules(make_topology(RULES), sinks)
    first, second = *rules.see(candidate()), *rules.see(candidate(status="retracted"))
    rules.commit()
    rules.reopen()
    sinks.fails = True
    rules.react.advance()
    assert sinks.took == [("one", first.id)]  # the other sink is waited for
    sinks.fails = False
    rules.now += 60
    rules.react.advance()
    ones = [one for name, one in sinks.took if name == "one"]
    others = [one for name, one in sinks.took if name == "other"]
    assert ones == others == [first.id, second.id]


@pytest.mark.parametrize("written", range(5))
def test_a_commit_that_a_kill_cut_short_loses_no_message_and_repeats_none(
    make_topology: Callable[[str], Topology], written: int
) -> None:
    whole, sinks = Rules(make_topology(RULES)), Sinks()
    sinks.fails = False
    seen = [candidate(), candidate(status="retracted")]
    messages = [found for offset, one in enumerate(seen) for found in whole.see(one, offset)]
    changes = sorted(whole.state.changes().items(), key=lambda change: commit_order(*change))
    assert len(changes) == 4  # two messages, their matter, and whose state it is

    rules = Rules(whole.topology, sinks)
    rules.backend.write(dict(changes[:written]))
    rules.reopen()
    rules.react.advance()  # before the records come again
    rules.commit()
    for offset, one in enumerate(seen):
        rules.see(one, offset)
    rules.commit()
    rules.react.advance()
    assert [found for name, found in sinks.took if name == "one"] == [one.id for one in messages]


class NamedSinks(Sinks):
    """Sinks whose names a test may change."""

    names: tuple[str, ...] = ("one",)

    def missing(self, _rule: str, sent: Collection[str]) -> list[str]:
        return [name for name in self.names if name not in sent]


def test_a_sink_that_a_rule_is_given_later_does_not_get_what_was_decided_before(
    make_topology: Callable[[str], Topology],
) -> None:
    sinks = NamedSinks()
    rules = Rules(make_topology(RULES), sinks)
    [first] = rules.see(candidate(), 0)
    rules.commit()
    sinks.names = ("one", "other")
    sinks.fails = False
    rules.reopen()
    rules.see(candidate(0.2), 1)  # the message is kept current: that sends nothing
    rules.commit()
    rules.react.advance()
    [second] = rules.see(candidate(status="outside"), 2)
    rules.commit()
    rules.react.advance()
    rules.react.advance()
    assert sinks.took == [("one", first.id), ("one", second.id), ("other", second.id)]


def test_a_topic_of_candidates_that_was_made_anew_has_new_offsets(rules: Rules) -> None:
    """Else its records would count as those that were looked at before, and nobody would hear."""
    assert [one.klass for one in rules.see(candidate(0.1), offset=70)] == ["new"]
    rules.commit()
    rules.reopen()
    assert rules.see(candidate(0.9), offset=3) == []  # a restart repeats
    rules.react.forget_offsets()
    assert [one.klass for one in rules.see(candidate(0.9), offset=3)] == ["withdrawn"]
    rules.commit()
    rules.reopen()
    assert rules.see(candidate(0.1), offset=3) == []


# --- a rule or a sink that goes and comes back --------------------------------------------------

NO_RULE = RULES[: RULES.index("react:")]
OTHER_RULE = RULES.replace("name: bright", "name: other").replace("< 0.5", "< 0.0")


class Changing(Rules):
    """A topology whose rule and sinks come and go, and the candidate of its one object."""

    def __init__(self, make: Callable[[str], Topology], without: str = NO_RULE) -> None:
        self.sinks = NamedSinks()
        self.sinks.names, self.sinks.fails = ("one", "other"), False
        self._with, self._without = make(RULES), make(without)
        self._offset = 0
        self.live: Candidate | None = None
        super().__init__(self._with, self.sinks)

    def give(self, one: Candidate) -> list[Any]:
        self.live = None if one.status is CandidateStatus.REJECTED else one
        return self._given(one)

    def change(self, *, rule: bool = True, sinks: tuple[str, ...] = ("one", "other")) -> None:
        """Start with another file: what is a candidate is given again, what was rejected is not."""
        self.topology, self.sinks.names = self._with if rule else self._without, sinks
        self.reopen()
        self.commit()
        self.send()
        if self.live is not None:
            self._given(self.live)

    def _given(self, one: Candidate) -> list[Any]:
        self._offset += 1
        found = self.see(one, self._offset)
        self.commit()
        self.send()
        return found

    def send(self) -> None:
        self.now += 60
        self.react.advance()
        self.commit()

    def heard(self, sink: str) -> list[str]:
        known = {entry.reaction.id: entry.reaction for entry in self.react.entries()}
        return [known[one].klass for name, one in self.sinks.took if name == sink]


@pytest.mark.parametrize("without", [NO_RULE, OTHER_RULE])
def test_a_rule_that_is_back_says_nothing_of_a_candidate_that_went_meanwhile(
    make_topology: Callable[[str], Topology], without: str
) -> None:
    rules = Changing(make_topology, without)
    rules.sinks.fails = True  # only `other`
    rules.give(candidate())
    rules.change(rule=False)
    [said] = rules.give(candidate(status="rejected"))
    assert (said.klass, said.reason) == ("withdrawn", "rejected")  # for who reads the topic
    assert rules.react.pending == 0
    rules.sinks.fails = False
    rules.change()
    assert rules.heard("one") == ["new", "withdrawn"]
    assert rules.heard("other") == []
    assert rules.react.pending == 0


@pytest.mark.parametrize("then", [candidate(0.9), candidate(status="outside")])
def test_a_rule_that_is_back_withdraws_what_it_holds_for_no_longer(
    make_topology: Callable[[str], Topology], then: Candidate
) -> None:
    rules = Changing(make_topology)
    rules.sinks.fails = True
    rules.give(candidate())
    rules.change(rule=False)
    assert rules.give(then) == []
    rules.sinks.fails = False
    rules.change()
    assert rules.heard("one") == ["new", "withdrawn"]
    assert rules.heard("other") == []
    rules.give(candidate(0.2))
    assert rules.heard("one") == ["new", "withdrawn", "reinstated"]
    assert rules.heard("other") == ["reinstated"]


def test_a_rule_that_is_back_says_what_still_holds_to_who_was_not_told(
    make_topology: Callable[[str], Topology],
) -> None:
    rules = Changing(make_topology)
    rules.sinks.fails = True
    rules.give(candidate())
    rules.change(rule=False)
    rules.give(candidate(0.3))
    rules.sinks.fails = False
    rules.change()
    rules.change()
    assert rules.heard("one") == rules.heard("other") == ["new"]
    [entry] = rules.react.entries()
    assert entry.reaction.payload["SkyMapProbability"] == {"cumprob": 0.3}


def test_what_was_announced_and_withdrawn_before_a_rule_went_is_not_told_when_it_is_back(
    make_topology: Callable[[str], Topology],
) -> None:
    rules = Changing(make_topology)
    rules.sinks.fails = True
    rules.give(candidate())
    rules.give(candidate(status="rejected"))
    rules.change(rule=False)
    rules.sinks.fails = False
    rules.change()
    assert rules.heard("one") == ["new", "withdrawn"]
    assert rules.heard("other") == []


def test_a_rule_of_another_channel_withdraws_what_it_said_of_the_one_before(
    make_topology: Callable[[str], Topology],
) -> None:
    two = RULES.replace("channels: {", "channels: {b: {}, ").replace("when: ", "CHANNEL, when: ")
    rules = Rules(make_topology(two.replace("CHANNEL", "channel: all")))
    assert [one.klass for one in rules.see(candidate(), 0)] == ["new"]
    rules.commit()
    rules.topology = make_topology(
        two.replace("CHANNEL", "channel: b").replace("SkyMapProbability.cumprob < 0.5", "rank > 1")
    )
    rules.reopen()
    [said] = rules.see(candidate(), 1)
    assert (said.klass, said.reason) == ("withdrawn", "condition")


def test_a_sink_that_is_back_hears_how_a_matter_stands_and_not_what_is_over(
    make_topology: Callable[[str], Topology],
) -> None:
    rules = Changing(make_topology)
    rules.give(candidate())
    second = msgspec.structs.replace(candidate(), object_id="ZTF02")
    rules.sinks.fails = True
    rules.give(second)
    rules.change(sinks=("one",))
    for gone in (candidate(status="rejected"), second):
        rules.give(msgspec.structs.replace(gone, status=CandidateStatus.REJECTED))
    rules.sinks.fails = False
    rules.change()
    # `other` had taken the first, and never heard of the second
    assert rules.heard("one") == ["new", "new", "withdrawn", "withdrawn"]
    assert rules.heard("other") == ["new", "withdrawn"]
    assert rules.sinks.took[-1][1] == rules.sinks.took[-3][1]
    rules.change()
    assert rules.heard("other") == ["new", "withdrawn"]


_SEEN = st.sampled_from(
    [("give", c, s) for c, s in ((0.1, "active"), (0.9, "active"))]
    + [("give", 0.1, status) for status in ("outside", "retracted", "rejected")]
)
_Story = list[tuple[str, Any, Any]]


def play(rules: Changing, story: _Story) -> None:
    """Let all of it happen; at the end no sink fails."""
    for what, one, other in story:
        if what == "give":
            rules.give(candidate(one, other))
        elif what == "change":
            rules.change(rule=one, sinks=other)
        else:
            rules.sinks.fails = one
            rules.send()
    rules.sinks.fails = False


_CHANGED = st.tuples(
    st.just("change"), st.booleans(), st.sampled_from([("one", "other"), ("one",)])
)
_FAILED = st.tuples(st.just("fails"), st.booleans(), st.just(None))


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_SEEN | _CHANGED | _FAILED, max_size=12))
def test_whatever_comes_and_goes_each_sink_knows_at_the_end_how_it_stands(
    make_topology: Callable[[str], Topology], story: _Story
) -> None:
    rules = Changing(make_topology)
    play(rules, story)
    rules.change()
    rules.send()
    holds = rules.live is not None and rules.live == candidate(0.1)
    assert len(set(rules.sinks.took)) == len(rules.sinks.took)
    for name in ("one", "other"):
        heard = [klass == "withdrawn" for klass in rules.heard(name)]
        assert all(one is not next_ for one, next_ in itertools.pairwise(heard))
        assert not heard or heard[-1] is not holds
    # it is always there: nothing is withdrawn from it that it was not told, and nothing kept back
    assert not any(klass == "withdrawn" for klass in rules.heard("one")[:1])
    assert rules.heard("one") or not holds


def test_what_a_sink_had_not_taken_goes_to_the_one_in_its_place(
    make_topology: Callable[[str], Topology],
) -> None:
    """Such as a file whose path was wrong; whoever comes later still begins with what is new."""
    rules = Changing(make_topology)
    [first] = rules.give(candidate())
    rules.sinks.fails = True
    [second] = rules.give(candidate(0.9))
    rules.change(sinks=("one",))
    assert rules.react.stranded == 1  # what `other` had not taken is kept, and said
    rules.change(sinks=("one", "third"))
    assert rules.react.stranded == 0
    rules.sinks.fails = False
    rules.send()
    assert rules.sinks.took == [
        *(("one", first.id), ("other", first.id)),
        *(("one", second.id), ("third", second.id)),
    ]
    rules.change(sinks=("one", "third", "fourth"))
    assert len(rules.sinks.took) == 4
    rules.change()  # `other` had been told of it, and is back
    assert rules.sinks.took[4:] == [("other", second.id)]


def test_a_rule_that_is_back_with_another_sink_tells_that_one(
    make_topology: Callable[[str], Topology],
) -> None:
    rules = Changing(make_topology)
    rules.sinks.steady = ""
    rules.change(sinks=("one",))
    rules.sinks.fails = True
    rules.give(candidate())
    rules.change(rule=False)
    rules.sinks.fails = False
    rules.change(sinks=("third",))
    assert [(name, rules.heard(name)) for name in ("one", "third")] == [
        ("one", []),
        ("third", ["new"]),
    ]


@pytest.mark.parametrize("back", ["one", "third"])
def test_nothing_is_withdrawn_that_nobody_was_told(
    make_topology: Callable[[str], Topology], back: str
) -> None:
    rules = Changing(make_topology)
    rules.sinks.steady = ""
    rules.change(sinks=("one",))
    rules.sinks.fails = True
    rules.give(candidate())
    rules.change(rule=False)
    rules.give(candidate(0.9))
    rules.sinks.fails = False
    rules.change(sinks=(back,))
    rules.send()
    assert rules.sinks.took == []


def test_what_went_and_came_while_a_rule_was_away_is_not_said(
    make_topology: Callable[[str], Topology],
) -> None:
    """Its object was no candidate for a while: an event's condition changed there and back."""
    rules = Changing(make_topology)
    [first] = rules.give(candidate())
    rules.change(rule=False)
    rules.give(candidate(status="rejected"))
    rules.give(candidate())
    assert rules.react.stranded == 0
    rules.change()
    rules.send()
    assert rules.sinks.took == [("one", first.id), ("other", first.id)]


_REPLACED = st.tuples(
    st.just("change"), st.booleans(), st.sampled_from([("one",), ("other",), ("third",)])
)


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_SEEN | _REPLACED | _FAILED, max_size=12))
@example(  # `other` was told that it is over, and went; `one` never heard of that, nor need it
    [
        *(("give", 0.1, "active"), ("change", True, ("other",)), ("give", 0.9, "active")),
        *(("fails", True, None), ("give", 0.1, "active"), ("change", False, ("one",))),
    ]
)
def test_whichever_sink_is_there_somebody_is_told_how_it_stands(
    make_topology: Callable[[str], Topology], story: _Story
) -> None:
    rules = Changing(make_topology)
    rules.sinks.steady = ""
    rules.change(sinks=("one",))
    play(rules, story)
    rules.change(sinks=rules.sinks.names)
    rules.send()
    assert len(set(rules.sinks.took)) == len(rules.sinks.took)
    known = {entry.reaction.id: entry.reaction for entry in rules.react.entries()}
    told = [(sink, known[one].klass != "withdrawn") for sink, one in rules.sinks.took]
    assert [one for _, one in told[:1]] in ([], [True])
    holds = rules.live is not None and rules.live == candidate(0.1)
    # the sink that is there, where it was told anything; else whichever was told last
    [there] = rules.sinks.names
    last = dict([*((there, one) for _, one in told[-1:]), *told])
    assert last.get(there, False) is holds
