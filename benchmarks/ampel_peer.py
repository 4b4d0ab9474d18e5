"""Times AMPEL's own first tier on packets; runs in AMPEL's environment, started by `ampel_t0.py`.

    python ampel_peer.py PACKETS CONFIG ROUNDS

It uses nothing of ampelstream. ``PACKETS`` is a file of packets, each behind its length in four
bytes; ``CONFIG`` the configuration of the filter in JSON. The answer is JSON on standard output:
times [us] of each row, what the filter accepted, and the versions.

AMPEL's alert supplier for ZTF reads each packet (``fastavro.reader``) and shapes it into an alert;
its DecentFilter then judges that. No database is asked, nothing is logged or stored.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import fastavro
from ampel.abstract.AbsAlertLoader import AbsAlertLoader
from ampel.base.AuxUnitRegister import AuxUnitRegister
from ampel.log.AmpelLogger import AmpelLogger
from ampel.ztf.alert.ZiAlertSupplier import ZiAlertSupplier
from ampel.ztf.t0.DecentFilter import DecentFilter
from interleave import Work, interleaved

LENGTH = 4


class PacketLoader(AbsAlertLoader):  # type: ignore[misc]  # AMPEL is not installed where this is checked
    """Gives AMPEL's supplier the packets that are in memory."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.left: Iterator[bytes] = iter(())

    def __next__(self) -> io.BytesIO:
        """Give the next one, as a file."""
        return io.BytesIO(next(self.left))


def packets_of(path: Path) -> list[bytes]:
    """Packets in a file."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + LENGTH], "big")
        found.append(data[at + LENGTH : at + LENGTH + size])
        at += LENGTH + size
    return found


def bare_reader(packets: Sequence[bytes]) -> Callable[[], Work]:
    """Decode whole records with fastavro, parsed schema and bytes of the record at hand."""
    schemas: dict[str, Any] = {}
    bodies = []
    for packet in packets:
        blocks: Any = fastavro.block_reader(io.BytesIO(packet))
        key = blocks.metadata["avro.schema"]
        if key not in schemas:
            schemas[key] = fastavro.parse_schema(json.loads(key))
        bodies.append((next(blocks).bytes_.getvalue(), schemas[key]))

    def run() -> None:
        for body, schema in bodies:
            fastavro.schemaless_reader(io.BytesIO(body), schema, None)

    return lambda: run


class FirstTier:
    """AMPEL's supplier and filter.

    Parameters
    ----------
    packets
        To read.
    config
        Of the filter.
    """

    def __init__(self, packets: Sequence[bytes], config: dict[str, Any]) -> None:
        AuxUnitRegister._dyn["PacketLoader"] = PacketLoader  # noqa: SLF001  (units are found there)
        logger = AmpelLogger.get_logger()
        self._packets = packets
        self._supplier: Any = ZiAlertSupplier(loader="PacketLoader")
        self._supplier.set_logger(logger)
        self._filter: Any = DecentFilter(**config, logger=logger)
        self._filter.post_init()
        self.accepted = self.crashed = 0

    def read(self) -> None:
        """Read and shape every packet."""
        self._supplier.alert_loader.left = iter(self._packets)
        for _ in self._supplier:
            pass

    def run(self) -> None:
        """Read, shape and filter every packet."""
        self.accepted = self.crashed = 0
        self._supplier.alert_loader.left = iter(self._packets)
        for alert in self._supplier:
            try:
                self.accepted += bool(self._filter.process(alert))
            except TypeError:  # it compares a null drb with a number
                self.crashed += 1


def main() -> None:
    """Measure, and print the answer."""
    packets = packets_of(Path(sys.argv[1]))
    tier = FirstTier(packets, json.loads(sys.argv[2]))
    work: dict[str, Callable[[], Work]] = {
        "bare cached fastavro": bare_reader(packets),
        "AMPEL reads and shapes": lambda: tier.read,
        "AMPEL T0": lambda: tier.run,
    }
    tier.run()
    medians = interleaved(work, rounds=int(sys.argv[3]), clock=time.process_time)
    names = {one.metadata["Name"]: one.version for one in distributions()}
    versions = {n: v for n, v in names.items() if n.startswith("ampel") or n == "fastavro"}
    answer = {"medians": medians, "accepted": tier.accepted, "crashed": tier.crashed}
    print(json.dumps({**answer, "versions": versions}))


if __name__ == "__main__":
    main()
