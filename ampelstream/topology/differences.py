"""How two topologies of one name differ, and what follows from each difference.

What a candidate says depends on events, regions, windows, match filters, units and catalogues: when
one of these changes, candidates are evaluated again. What is sent depends on rules and sinks, which
count at once. Which alerts an object has depends on surveys and filters: what they rejected is not
in the state, so a person must say whether they count from now on, or for earlier alerts too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ampelstream.topology.identity import Identity

__all__ = ["Difference", "Effect", "differences", "in_words"]


class Effect(StrEnum):
    """What follows from a difference."""

    AT_ONCE = "at once"
    """Nothing is computed; candidates are at most given again."""
    AGAIN = "evaluated again"
    """Candidates of all known events are evaluated again, in the background."""
    ASK = "from now on, or with a backfill"
    """A person must choose (``--from-now-on`` or ``--backfill``)."""
    NOW_ON = "from now on"
    """It cannot be done for what came before (``--from-now-on``)."""
    OTHER = "another topology"
    """It has other topics, another state and another ledger."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes
    ----------
    path
        Where in the file, with names where the file has lists.
    old, new
        Values; None for what is not there.
    effect
        What follows.
    remark
        What a person should know; may be empty.
    """

    path: str
    old: Any
    new: Any
    effect: Effect
    remark: str = ""


_RULES: tuple[tuple[str, Effect, str], ...] = (
    (r"name", Effect.OTHER, "its own topics, state and ledger"),
    (r"version", Effect.AT_ONCE, "candidates name it, and are given again"),
    (r"description|catalogs", Effect.AT_ONCE, ""),
    (r"kafka\b.*", Effect.AT_ONCE, "`topics create` brings the topics in line"),
    (r"retention\b.*", Effect.AT_ONCE, ""),
    (r"react\.[^.]*", Effect.AT_ONCE, ""),
    (r"react\..*\.when", Effect.AT_ONCE, "matters that it holds for no longer are withdrawn"),
    (r"react\..*\.sinks", Effect.AT_ONCE, "what was decided before goes where it went"),
    (r"react\..*", Effect.AT_ONCE, ""),
    (r"events\.skymap", Effect.NOW_ON, "the state keeps one map of each notice"),
    (r"events\b.*", Effect.AGAIN, ""),
    (r"channels\.[^.]*\.rank_by\b.*", Effect.AT_ONCE, "candidates are given again"),
    (r"channels\.[^.]*\.(alerts|filters)\b.*", Effect.ASK, ""),
    (r"channels\.[^.]*\..*", Effect.AGAIN, ""),
)
"""First whose pattern is the whole path says what follows."""


def differences(old: Identity, new: Identity) -> tuple[Difference, ...]:
    """All differences, in the order of their paths."""
    was, now = dict(_flat(old.spec, "")), dict(_flat(new.spec, ""))
    found = [*_channels(old, new), *_units(old, new), *_rules(old, new)]
    whole = tuple(f"{one.path}." for one in found)
    changed = [path for path in sorted(was.keys() | now.keys()) if was.get(path) != now.get(path)]
    changed = [path for path in changed if not _only_whole_units(was, now, path)]
    found += [
        _difference(path, was.get(path), now.get(path))
        for path in changed
        if not path.startswith(whole)
    ]
    for path in sorted(old.prints.keys() & new.prints.keys()):
        if old.prints[path] != new.prints[path] and not any(
            one.path.startswith(f"{path}.") or one.path == path for one in found
        ):
            versions = f"fingerprint {old.prints[path]}", f"fingerprint {new.prints[path]}"
            known = _difference(path, *versions)
            remark = "its own version, or that of what it reads, is another"
            found.append(Difference(path, *versions, known.effect, remark))
    return tuple(sorted(found, key=lambda one: one.path))


def _channels(old: Identity, new: Identity) -> Iterator[Difference]:
    """Channels that came or went, each as one difference."""
    was, now = old.spec["channels"], new.spec["channels"]
    for name in now.keys() - was.keys():
        remark = "without a backfill it sees alerts from now on only"
        yield Difference(f"channels.{name}", None, "a new channel", Effect.ASK, remark)
    for name in was.keys() - now.keys():
        remark = "its candidates are withdrawn"
        yield Difference(f"channels.{name}", "a channel", None, Effect.AGAIN, remark)


def _units(old: Identity, new: Identity) -> Iterator[Difference]:
    """Units that came to a channel or went from it, each as one difference."""
    for channel in old.spec["channels"].keys() & new.spec["channels"].keys():
        for part in ("filters", "match", "units"):
            was, now = (
                {_label(one) for one in content.spec["channels"][channel].get(part) or ()}
                for content in (old, new)
            )
            for name in now - was:
                yield _difference(f"channels.{channel}.{part}.{name}", None, "a new unit")
            for name in was - now:
                yield _difference(f"channels.{channel}.{part}.{name}", "a unit", None)


def _only_whole_units(was: Mapping[str, Any], now: Mapping[str, Any], path: str) -> bool:
    """Whether an order differs only by units that came or went, which say so themselves."""
    if not path.endswith(".order") or path not in was or path not in now:
        return False
    common = set(was[path]) & set(now[path])
    first, second = ([name for name in one[path] if name in common] for one in (was, now))
    return first == second


def _rules(old: Identity, new: Identity) -> Iterator[Difference]:
    """Rules that came or went, each as one difference."""
    was = {one["name"]: one["when"] for one in old.spec["react"]}
    now = {one["name"]: one["when"] for one in new.spec["react"]}
    for name in now.keys() - was.keys():
        remark = "it sends a message for every candidate of a known event that it holds for"
        yield Difference(f"react.{name}", None, now[name], Effect.AT_ONCE, remark)
    for name in was.keys() - now.keys():
        remark = "it sends nothing any longer; the ledger keeps what it sent"
        yield Difference(f"react.{name}", was[name], None, Effect.AT_ONCE, remark)


def _difference(path: str, old: Any, new: Any) -> Difference:
    for pattern, effect, remark in _RULES:
        if re.fullmatch(pattern, path):
            return Difference(path, old, new, effect, remark)
    return Difference(path, old, new, Effect.ASK, "this part is new to the comparison")


_NAMED = {"filters", "match", "units", "react"}
"""Lists whose entries have names."""


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything in a file; entries with names go by these."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, f"{path}.{key}" if path else str(key))
        return
    if isinstance(value, Sequence) and not isinstance(value, str):
        last = path.rpartition(".")[2]
        if last in _NAMED and all(isinstance(one, Mapping) for one in value):
            names = [_label(one) for one in value]
            if last != "react":  # units run in this order; rules have none
                yield f"{path}.order", names
            for name, one in zip(names, value, strict=True):
                yield from _flat({k: v for k, v in one.items() if k != "name"}, f"{path}.{name}")
            return
        yield path, list(value)
        return
    yield path, value


def _label(entry: Mapping[str, Any]) -> str:
    """Name of a unit or of a rule, as `UnitSpec.label` says it."""
    unit = str(entry.get("unit", ""))
    return str(entry.get("name") or unit.replace(":", ".").rsplit(".", 1)[-1])


def in_words(found: Sequence[Difference], chosen: str | None = None) -> Iterator[str]:
    """A line for each difference.

    Parameters
    ----------
    found
        The differences.
    chosen
        What a person chose where there was a choice; None where nobody has yet.
    """
    for one in found:
        change = f"{_short(one.old)} -> {_short(one.new)}"
        effect, remark = one.effect.value, f"; {one.remark}" if one.remark else ""
        if chosen is not None and one.effect is Effect.ASK:
            effect, remark = f"{chosen}, as chosen", ""
        yield f"{one.path}: {change} ({effect}{remark})"


_SHOWN = 60


def _short(value: Any) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
