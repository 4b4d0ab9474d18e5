"""How two topologies of one name differ, and what follows from each difference.

What a candidate says depends on events, regions, windows, match filters, units and catalogues: when
one of these changes, candidates are evaluated again. What is sent depends on rules and sinks, which
count at once. Which alerts an object has depends on surveys and filters: what they rejected is not
in the state, so a person must say whether they count from now on, or for earlier alerts too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ampelstream.topology.identity import UNIT_LISTS, Identity, Path, shown

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
        Where in the file, with names where the file has lists, as `shown` says it.
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


_RULES: tuple[tuple[tuple[str | None, ...], Effect, str], ...] = (
    (("name",), Effect.OTHER, "its own topics, state and ledger"),
    (("version",), Effect.AT_ONCE, "candidates name it, and are given again"),
    (("description",), Effect.AT_ONCE, ""),
    (("catalogs",), Effect.AT_ONCE, ""),
    (
        ("kafka", "partitions"),
        Effect.AT_ONCE,
        "where there are no topics yet; those that there are keep their number, and workers refuse",
    ),
    (("kafka", "replication"), Effect.AT_ONCE, "for new topics; `topics create` names others"),
    (("kafka",), Effect.AT_ONCE, "`topics create` brings the topics in line"),
    (("retention",), Effect.AT_ONCE, "what is forgotten, or in the archive, does not come back"),
    (("react", None, "when"), Effect.AT_ONCE, "matters that it holds for no longer are withdrawn"),
    (("react", None, "sinks"), Effect.AT_ONCE, "a new one also gets what one that goes had not"),
    (("react",), Effect.AT_ONCE, ""),
    (("events", "skymap"), Effect.NOW_ON, "the state keeps one map of each notice"),
    (("events",), Effect.AGAIN, ""),
    (("channels", None, "rank_by"), Effect.AT_ONCE, "candidates are given again"),
    (("channels", None, "alerts"), Effect.ASK, ""),
    (("channels", None, "filters"), Effect.ASK, ""),
    (("channels",), Effect.AGAIN, ""),
)
"""First with which the path begins says what follows; None is a name that the file chose."""


def differences(old: Identity, new: Identity) -> tuple[Difference, ...]:
    """All differences, in the order of their paths."""
    was, now = dict(_flat(old.spec, ())), dict(_flat(new.spec, ()))
    found = dict([*_channels(old, new), *_units(old, new), *_rules(old, new)])
    found |= _absent(old, new)
    whole = frozenset(found)  # what came or went is one difference, with all that is in it
    for path in was.keys() | now.keys():
        if (
            was.get(path) != now.get(path)
            and not any(path[:length] in whole for length in range(len(path) + 1))
            and not _only_whole_units(was, now, path)
        ):
            found[path] = _difference(path, was.get(path), now.get(path))
    for path, *prints in _prints(old, new):
        if prints[0] != prints[1] and not any(one[: len(path)] == path for one in found):
            known = _difference(path, *(f"fingerprint {one}" for one in prints))
            remark = "its own version, or that of what it reads, is another"
            found[path] = replace(known, remark=remark)
    if not found and old.digest != new.digest:
        # such as a default that is written out: candidates name another hash for it
        contents = f"content {old.digest}", f"content {new.digest}"
        remark = "the same, written in another way"
        found[()] = Difference("the file", *contents, Effect.AGAIN, remark)
    return tuple(found[path] for path in sorted(found))


def _channels(old: Identity, new: Identity) -> Iterator[tuple[Path, Difference]]:
    """Channels that came or went, each as one difference."""
    was, now = old.spec["channels"], new.spec["channels"]
    for name in now.keys() - was.keys():
        path, remark = ("channels", name), "without a backfill it sees alerts from now on only"
        yield path, Difference(shown(path), None, "a new channel", Effect.ASK, remark)
    for name in was.keys() - now.keys():
        path, remark = ("channels", name), "its candidates are withdrawn"
        yield path, Difference(shown(path), "a channel", None, Effect.AGAIN, remark)


def _units(old: Identity, new: Identity) -> Iterator[tuple[Path, Difference]]:
    """Units that came to a channel or went from it, each as one difference."""
    was, now = set(_unit_paths(old)), set(_unit_paths(new))
    both = old.spec["channels"].keys() & new.spec["channels"].keys()
    for path in was ^ now:
        if path[1] in both:
            said = ("a unit", None) if path in was else (None, "a new unit")
            yield path, _difference(path, *said)


def _unit_paths(content: Identity) -> Iterator[Path]:
    for name, channel in content.spec["channels"].items():
        for part in UNIT_LISTS:
            for one in channel.get(part) or ():
                yield "channels", name, part, _label(one)


def _prints(old: Identity, new: Identity) -> Iterator[tuple[Path, str, str]]:
    """Fingerprints of each unit that both have; without one, it may be another."""
    for path in set(_unit_paths(old)) & set(_unit_paths(new)):
        name = shown(path)
        yield path, old.prints.get(name, "unknown"), new.prints.get(name, "unknown")


def _absent(old: Identity, new: Identity) -> Iterator[tuple[Path, Difference]]:
    """Optional catalogues that units had read, and that are there no longer.

    Nobody wants that: a volume that is empty, or another machine. Whoever does says so.
    """
    for path in set(_unit_paths(old)) & set(_unit_paths(new)):
        now = new.reads.get(shown(path), {})
        for name, version in old.reads.get(shown(path), {}).items():
            if version is not None and name in now and now[name] is None:
                remark = "candidates lose what it says; see --catalogs, if that is not meant"
                absent = shown((*path, "catalogs", name))
                what = f"a catalogue, version {version}"
                yield (*path, name), Difference(absent, what, None, Effect.NOW_ON, remark)


def _only_whole_units(was: Mapping[Path, Any], now: Mapping[Path, Any], path: Path) -> bool:
    """Whether an order differs only by units that came or went, which say so themselves."""
    if not (path[-1] == _ORDER and _has_names(path[:-1])) or path not in was or path not in now:
        return False
    common = set(was[path]) & set(now[path])
    first, second = ([name for name in one[path] if name in common] for one in (was, now))
    return first == second


def _rules(old: Identity, new: Identity) -> Iterator[tuple[Path, Difference]]:
    """Rules that came or went, each as one difference."""
    was = {one["name"]: one["when"] for one in old.spec["react"]}
    now = {one["name"]: one["when"] for one in new.spec["react"]}
    for name in now.keys() - was.keys():
        path = ("react", name)
        remark = "it sends a message for every candidate of a known event that it holds for"
        yield path, Difference(shown(path), None, now[name], Effect.AT_ONCE, remark)
    for name in was.keys() - now.keys():
        path = ("react", name)
        remark = "it sends nothing any longer; the ledger keeps what it sent"
        yield path, Difference(shown(path), was[name], None, Effect.AT_ONCE, remark)


def _difference(path: Path, old: Any, new: Any) -> Difference:
    for start, effect, remark in _RULES:
        if len(start) <= len(path) and all(
            part in {None, name} for part, name in zip(start, path, strict=False)
        ):
            return Difference(shown(path), old, new, effect, remark)
    return Difference(shown(path), old, new, Effect.ASK, "this part is new to the comparison")


_ORDER = "order"


def _has_names(path: Path) -> bool:
    """Whether the entries of the list at that path have names."""
    return path == ("react",) or (
        len(path) == 3 and path[0] == "channels" and path[2] in UNIT_LISTS  # noqa: PLR2004  (channels, name, list)
    )


def _flat(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """(path, value) of everything in a file; entries with names go by these."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(one, (*path, str(key)))
    elif _has_names(path):
        names = [_label(one) for one in value]
        if path != ("react",):  # units run in this order; rules have none
            yield (*path, _ORDER), names
        for name, one in zip(names, value, strict=True):
            yield from _flat({k: v for k, v in one.items() if k != "name"}, (*path, name))
    else:
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
    text = "nothing" if value is None else " ".join(str(value).split()) or "empty"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
