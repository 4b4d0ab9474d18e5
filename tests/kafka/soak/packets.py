"""The stream: numbered packets of some objects, poison among them, and notices of three events.

A packet is known by its number: it is its candid, and its offset in the source that its header
names. So whoever looks into the state can tell which packets are in it.
"""

import random
from dataclasses import dataclass
from typing import Any

import msgspec

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.simulate import simulate_notice

__all__ = ["SOURCE", "T0", "TOPOLOGY", "Stream", "notices", "number_of"]

SOURCE = "soak"
NOTICES = "soak-notices"
T0 = 2460000.5
DAYS = 20.0
HISTORY = 3
_POISON = b"\x00poison "
TOPOLOGY = """\
name: soak
version: 1
channels:
  all:
    region: 0.9
    window: [0, 30]
    units: [{unit: SkyMapProbability}]
react:
  - {name: near, when: SkyMapProbability.cumprob < 0.9, sinks: [{file: near.ndjson}, console]}
kafka: {partitions: 4}
"""

LETHAL = """\
    filters: [{{unit: "tests.kafka.units:Lethal", config: {{every: {every}}}}}]
"""
"""What a channel has beside, where poison kills."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice and after which packet, as a part of the stream, it comes."""

    after: float
    value: bytes


def notices() -> list[Notice]:
    """One event that moves, one that is retracted, and a late one."""
    plan = [
        (0.08, "SIM230225a", "PRELIMINARY", "2023-02-25T00:05:00Z", 0.0, 40.0, 0.0, 6.0),
        (0.25, "SIM230302b", "PRELIMINARY", "2023-03-02T00:05:00Z", 5.0, 33.0, 8.0, 5.0),
        (0.45, "SIM230225a", "UPDATE", "2023-02-25T09:00:00Z", 0.0, 45.0, 3.0, 4.0),
        (0.65, "SIM230302b", "RETRACTION", "2023-03-02T03:00:00Z", None, 0.0, 0.0, 1.0),
        (0.80, "SIM230307c", "INITIAL", "2023-03-07T00:05:00Z", 10.0, 48.0, -8.0, 5.0),
    ]
    return [
        Notice(
            after,
            simulate_notice(
                event_id=name,
                alert_type=kind,
                time_created=created,
                t0_jd=None if days is None else T0 + days,
                ra=ra,
                dec=dec,
                width_deg=width,
                order=5,
            ),
        )
        for after, name, kind, created, days, ra, dec, width in plan
    ]


def _point(jd: float, candid: int, ra: float, dec: float, mag: float) -> Row:
    return {
        "jd": jd,
        "fid": 1 + candid % 2,
        "pid": candid * 10,
        "candid": candid,
        "isdiffpos": "t",
        "ra": ra,
        "dec": dec,
        "magpsf": mag,
        "sigmapsf": 0.1,
        "diffmaglim": 20.5,
        "rb": 0.9,
        "rcid": 11,
        "xpos": 100.0,
        "ypos": 200.0,
        "programid": 1,
    }


def number_of(value: bytes) -> int:
    """Number of a packet, also of a poisonous one."""
    if value.startswith(_POISON):
        return int(value.removeprefix(_POISON))
    return int(msgspec.json.decode(value)["candid"])


class Stream:
    """Packets numbered from 1.

    Each block of consecutive numbers holds one packet of every object, in an order of its own.
    Poison is no packet at all, or, where it is lethal, one that kills whoever filters it.
    """

    def __init__(
        self, packets: int, objects: int = 200, poison_every: int = 1000, *, lethal: bool = False
    ) -> None:
        self.packets = packets
        self.objects = objects
        self.poison_every = poison_every
        self.lethal = lethal
        dice = random.Random(packets)  # noqa: S311  (a reproducible test, not a secret)
        self._owners: list[int] = []
        while len(self._owners) < packets:
            self._owners.extend(dice.sample(range(objects), objects))
        self._places = [
            (dice.uniform(22.0, 58.0), dice.uniform(-18.0, 18.0)) for _ in range(objects)
        ]
        self._earlier: list[tuple[int, ...]] = []
        seen: list[tuple[int, ...]] = [()] * objects
        for number in range(1, packets + 1):
            owner = self._owners[number - 1]
            self._earlier.append(seen[owner])
            if not self.is_poison(number):
                seen[owner] = (*seen[owner], number)[-HISTORY:]

    def as_lethal(self) -> "Stream":
        """The same stream with poison that kills."""
        return Stream(self.packets, self.objects, self.poison_every, lethal=True)

    def topology(self) -> str:
        """Text of the topology that it is for."""
        head, mark, rest = TOPOLOGY.partition("  all:\n")
        return TOPOLOGY if not self.lethal else head + mark + self._lethal() + rest

    def _lethal(self) -> str:
        return LETHAL.format(every=self.poison_every)

    def is_poison(self, number: int) -> bool:
        return number % self.poison_every == 0

    def object_id(self, number: int) -> str:
        return f"ZTF23soak{self._owners[number - 1]:04d}"

    def _jd(self, number: int) -> float:
        return T0 + 0.01 + DAYS * number / self.packets

    def value(self, number: int) -> bytes:
        if self.is_poison(number) and not self.lethal:
            return _POISON + b"%d" % number
        ra, dec = self._places[self._owners[number - 1]]
        row = {
            "objectId": self.object_id(number),
            "candid": number,
            "schemavsn": "3.3",
            "candidate": _point(self._jd(number), number, ra, dec, 19.0) | {"drb": 0.999},
            "prv_candidates": [
                _point(self._jd(one), one, ra, dec, 19.3) for one in self._earlier[number - 1]
            ],
        }
        return msgspec.json.encode(row)

    def record(self, number: int) -> SourceRecord:
        return SourceRecord(Coordinates(SOURCE, 0, number), "alerts", self.value(number))

    def notices(self) -> list[tuple[int, SourceRecord]]:
        """Notices, each with the number of the packet that it comes after."""
        return [
            (
                int(one.after * self.packets),
                SourceRecord(Coordinates(NOTICES, 0, number), "notices", one.value),
            )
            for number, one in enumerate(notices())
        ]
