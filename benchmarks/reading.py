"""Ways of reading alerts that `decode.py` times: together, as the runtimes do, or one by one."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastavro
from interleave import Work

from ampelstream.codecs import alerts
from ampelstream.codecs.alerts import batches, datapoints, decode
from ampelstream.codecs.avro.columns import Columns
from ampelstream.codecs.avro.container import metadata, read_header
from ampelstream.codecs.avro.packets import Wanted
from ampelstream.codecs.avro.program import UnfitSchema, compile_program
from ampelstream.codecs.batch import PacketBatch
from ampelstream.codecs.lsst import FixedSchemas, RubinBatch
from ampelstream.codecs.ztf import ZtfBatch
from ampelstream.core.judging import asked_of, judge
from ampelstream.model.alertbatch import Asked
from ampelstream.runtime.embedded.engine import BATCH
from ampelstream.topology import Topology

__all__ = ["one_by_one", "rows_of"]

Packets = Sequence[bytes]

PS1 = ("distpsnr1", "distpsnr2", "distpsnr3", "sgscore1", "sgscore2", "sgscore3")
ZTF_HEAD = frozenset(
    (
        *("jd", "fid", "pid", "diffmaglim", "programid", "candid", "isdiffpos", "rcid", "xpos"),
        *("ypos", "ra", "dec", "magpsf", "sigmapsf", "rb", "drb", "fwhm", "elong", "magdiff"),
        *("nbad", "jdstarthist", "jdendhist", "ssdistnr", *PS1),
    )
)
"""What selections of transients ask of a candidate; candid and objectId of the packet come too."""
RUBIN_HEAD = frozenset(
    (
        *("band", "psfFlux", "psfFluxErr", "templateFlux", "scienceFlux", "snr", "reliability"),
        *("extendedness", "x", "y", "visit", "detector", "isDipole", "isNegative", "pixelFlags"),
        *("raErr", "decErr"),
    )
)
"""The same of a diaSource; identifiers, position and time come too."""


def one_by_one(packets: Packets, work: Callable[[bytes], object]) -> Callable[[], Work]:
    """Do something with every packet."""

    def run() -> None:
        for packet in packets:
            work(packet)

    return lambda: run


def together(packets: Packets, work: Callable[[Packets], object]) -> Callable[[], Work]:
    """Do something with every batch of packets, of the size that the runtimes take."""
    parts = [packets[first : first + BATCH] for first in range(0, len(packets), BATCH)]

    def run() -> None:
        for part in parts:
            work(part)

    return lambda: run


def read(
    packets: Packets,
    wanted: Wanted | Mapping[int, Wanted],
    schemas: FixedSchemas | None,
) -> list[Columns]:
    """Columns of some fields, read once; headers are recognised as `batches` does it.

    What `batches` does more is to see that these are alerts: names, times and positions.

    Parameters
    ----------
    packets
        Of any writer schemas.
    wanted
        Fields to read; or those of each writer schema, by the id of its `PacketSchema`.
    schemas
        Of messages in the wire format.
    """
    groups: dict[int, tuple[Any, list[int]]] = {}
    head = None
    for number, packet in enumerate(packets):
        head = alerts._head_of(packet, head, schemas)  # noqa: SLF001  (to be timed as it is)
        if head is None:
            raise SystemExit("a compressed packet is no part of this benchmark")
        groups.setdefault(id(head.schema), (head, []))[1].append(number)
    made = []
    for head, numbers in groups.values():
        fields = wanted if isinstance(wanted, tuple) else wanted[id(head.schema)]
        reader = head.schema.reader(fields)
        values = [packets[number] for number in numbers]
        framed = head.begin[:1] != b"\x00"
        columns = reader.read(values, [head.start] * len(values), framed=framed)
        if columns.status.min() < 0:
            raise SystemExit("a corrupt packet is no part of this benchmark")
        made.append(columns)
    return made


def fields_of(schema: Any, record: str) -> tuple[str, ...]:
    """Fields of a record, or of the records of an array, that can be columns.

    None at all where the schema does not have the record.
    """
    parsed: Any = fastavro.parse_schema(json.loads(json.dumps(schema)), expand=True)
    found = next((one["type"] for one in parsed["fields"] if one["name"] == record), None)
    while found is not None and "fields" not in found:
        if isinstance(found, list):
            found = next((one for one in found if one != "null"), None)
        else:
            found = found["items"]
    if found is None:
        return ()
    return tuple(one["name"] for one in found["fields"] if _has_column(schema, record, one["name"]))


def _has_column(schema: Any, record: str, name: str) -> bool:
    try:
        return not compile_program(schema, {record: [name]}).others
    except UnfitSchema:
        return False


def every_field(
    packets: Packets, kind: type[PacketBatch], forced: str, schemas: FixedSchemas | None
) -> Mapping[int, Wanted]:
    """For each writer schema all fields of a detection, its history and its forced photometry."""
    known: dict[int, Wanted] = {}
    head = None
    for packet in packets:
        head = alerts._head_of(packet, head, schemas)  # noqa: SLF001  (as in `read`)
        if head is None or id(head.schema) in known:
            continue
        schema = (
            schemas.known(int.from_bytes(packet[1:5], "big"))
            if schemas is not None
            else json.loads(metadata(read_header(packet).key)["avro.schema"])
        )
        names = (kind.record, kind.history, forced)
        fields = ((name, fields_of(schema, name)) for name in names)
        known[id(head.schema)] = (
            ("", kind.identity),
            *((name, some) for name, some in fields if some),
        )
    return known


def all_datapoints(packets: Packets, schemas: FixedSchemas | None) -> int:
    """Make the datapoints of every packet, from columns."""
    return sum(
        len(batch.datapoints(range(len(batch)))) for batch, _ in batches(packets, Asked(), schemas)
    )


def filtered(packets: Packets, topology: Topology, asked: Asked | Mapping[str, Asked]) -> int:
    """Decode as far as the filters ask, and filter; gives how many a channel accepts."""
    return sum(
        sum(bool(one and one.accepted) for one in judge(topology.channels, batch).outcomes)
        for batch, _ in batches(packets, asked)
    )


def rows_of(
    packets: Packets, schemas: FixedSchemas | None = None, topology: Topology | None = None
) -> Mapping[str, Callable[[], Work]]:
    """Rows of the table of one survey: Rubin's with schemas, else ZTF's.

    "Columns alone" is what the interpreter gives, header recognition included: of the head, of the
    head and the history, and of every field of detection, history and forced photometry.

    Parameters
    ----------
    packets
        The alerts.
    schemas
        Of Rubin's messages.
    topology
        Its channels filter ZTF's packets.
    """
    kind: type[PacketBatch] = ZtfBatch if schemas is None else RubinBatch
    forced, head = (
        ("fp_hists", ZTF_HEAD) if schemas is None else ("prvDiaForcedSources", RUBIN_HEAD)
    )
    asked = Asked(head)
    heads = kind.wanted(asked)
    both = (*heads, (kind.history, kind.measured))
    every = every_field(packets, kind, forced, schemas)
    number = sum(len(names) for _, names in heads)
    more = len(kind.measured)
    rows = {
        f"head ({number} fields)": together(packets, lambda p: batches(p, asked, schemas)),
        f"columns alone: head ({number})": together(packets, lambda p: read(p, heads, schemas)),
        f"columns alone: + history ({number} + {more})": together(
            packets, lambda p: read(p, both, schemas)
        ),
        "columns alone: every field": together(packets, lambda p: read(p, every, schemas)),
    }
    if topology is not None:
        asks = asked_of(topology.channels)
        rows[f"decode + DecentFilter ({topology.name})"] = together(
            packets, lambda p: filtered(p, topology, asks)
        )
    return rows | {
        "datapoints of every packet": together(packets, lambda p: all_datapoints(p, schemas)),
        "one by one: decode": one_by_one(packets, lambda p: decode(p, schemas)),
        "one by one: decode + epochs": one_by_one(
            packets, lambda p: decode(p, schemas).history.epochs()
        ),
        "one by one: decode + datapoints": one_by_one(
            packets, lambda p: datapoints(decode(p, schemas))
        ),
    }
