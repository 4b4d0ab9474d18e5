"""Whose a state is, and what follows when the topology that owns it has changed.

`claim` marks a new state, and of one in use says how the topology differs from the one that used it
last. What must be chosen by a person (a `Word`) and was not is refused before anything is touched.
The processors then do what follows: ``objects.py`` evaluates candidates again, ``backfill.py``
filters earlier alerts anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from ampelstream.core.state import FORMAT, Owner, decode, encode, keys
from ampelstream.errors import ConfigError
from ampelstream.state.store import KeyValue, Readable
from ampelstream.topology import Identity, Topology, identity_of
from ampelstream.topology.differences import Difference, Effect, differences, in_words

__all__ = ["Claim", "Word", "asks", "check_word", "claim", "finish", "owner_of"]


class Word(StrEnum):
    """From when on changed filters and new channels count."""

    FROM_NOW_ON = "from-now-on"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Claim:
    """What was found.

    Attributes
    ----------
    used
        Whether the state was in use before.
    changes
        How the topology differs from the one that used it last.
    filters_differ
        Whether the two have other filters; also where that asks for no word, since a channel went.
    missed
        Whether it took no part in the backfill that is asked for, or only in earlier ones.
    """

    used: bool
    changes: tuple[Difference, ...] = ()
    filters_differ: bool = False
    missed: bool = False

    @property
    def refilters(self) -> bool:
        """Whether other alerts may be accepted than before."""
        return any(one.effect is Effect.ASK for one in self.changes)


def check_word(old: Identity, new: Identity, word: Word | None) -> tuple[Difference, ...]:
    """See that everything is chosen that a change asks for; give the differences.

    Raises
    ------
    ConfigError
        It is another topology, or a choice is missing, or is none; all differences are named.
    """
    found = differences(old, new)
    listed = "\n".join(f"  {line}" for line in in_words(found))
    effects = {one.effect for one in found}
    if Effect.OTHER in effects:
        raise ConfigError(
            f"this belongs to topology {old.name}, not to {new.name}: give the state of "
            "this topology, or another directory"
        )
    if word is None and asks(found):
        choice = (
            "start with --from-now-on: what came before stays as it is, and no backfill can change "
            "that"
            if Effect.NOW_ON in effects
            else "start with --from-now-on (earlier alerts stay as they were judged) or with "
            "--backfill (those that are still there are judged again)"
        )
        raise ConfigError(
            f"topology {new.name} has changed since it ran last, and what that means for what came "
            f"before is for you to say:\n{listed}\n{choice}"
        )
    if word is Word.BACKFILL and Effect.NOW_ON in effects:
        raise ConfigError(
            f"topology {new.name} has changed in something that a backfill cannot bring "
            f"about:\n{listed}\nstart with --from-now-on, or undo that part"
        )
    return found


def asks(changes: Iterable[Difference]) -> bool:
    """Whether one of the differences asks for a word."""
    return any(one.effect in {Effect.ASK, Effect.NOW_ON} for one in changes)


def owner_of(state: Readable) -> Owner | None:
    """Whose the state is; None where it is new."""
    found = state.get(keys.IDENTITY)
    if found is None:
        return None
    try:
        return decode.owner(found)
    except msgspec.DecodeError:
        return Owner("an earlier version", format=1)


def claim(
    state: KeyValue,
    topology: Topology,
    inputs: str = "",
    *,
    word: Word | None = None,
    backfill: str = "",
) -> Claim:
    """Mark a state as the topology's.

    Parameters
    ----------
    state
        The store; the mark is part of its next commit.
    topology
        Who wants it.
    inputs
        Digest of the names of a replay's inputs. The state of a replay is not gone on with by
        another content.
    word
        What was chosen for a change that asks for it.
    backfill
        Name of the backfill, where they are told apart by names.

    Raises
    ------
    ConfigError
        It belongs to another topology, or to another layout or replay; or the topology has changed
        in a way that asks for a word.
    """
    content = identity_of(topology)
    wanted = Owner(topology.name, content, inputs=inputs, backfill=backfill)
    known = owner_of(state)
    if known is None:
        state.put(keys.IDENTITY, encode(wanted))
        return Claim(used=False, missed=bool(backfill))
    if known.format != FORMAT:
        raise ConfigError(
            f"this state of {known.topology} is in the layout of version {known.format}, and this "
            f"program keeps version {FORMAT}: give another directory (or, on Kafka, the topology "
            "another name), and let it read the alerts and notices again"
        )
    alike = (known.topology, known.finished) == (topology.name, False)
    same = known.content is not None and known.content.digest == content.digest
    if not alike or known.content is None or known.inputs != inputs or (inputs and not same):
        other = "another directory (or, on Kafka, another name)"
        # that of a replay serves no other work, also of the same topology
        give = other if known.of_replay else f"the state of this topology, or {other}"
        raise ConfigError(
            f"this state belongs to {_named(known)}, not to {_named(wanted)}: give {give}, and let "
            "it read the alerts and notices again"
        )
    changes = () if same else check_word(known.content, content, word)
    if known != wanted:
        state.put(keys.IDENTITY, encode(wanted))
    return Claim(
        used=True,
        changes=changes,
        filters_differ=known.content.filters != content.filters,
        missed=known.backfill != backfill,
    )


def finish(state: KeyValue) -> None:
    """Note that a replay came to its end: nobody may claim its state any longer."""
    known = owner_of(state)
    if known is not None:
        state.put(keys.IDENTITY, encode(msgspec.structs.replace(known, finished=True)))


def _named(owner: Owner) -> str:
    digest = "unknown" if owner.content is None else owner.content.digest
    text = f"topology {owner.topology} with content {digest}"
    if owner.of_replay:
        text = f"a {'finished ' if owner.finished else ''}replay of {text}"
    return text
