"""``python -m tests.kafka.soak``: the long soak; exit code 1 where anything was lost or doubled."""

import argparse
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.kafka.soak.faults import FAULTS, Lengths
from tests.kafka.soak.packets import Stream
from tests.kafka.soak.reference import undisturbed
from tests.kafka.soak.run import Soak
from tests.kafka.soak.table import table

__all__ = ["main"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of each fault")
    parser.add_argument("--packets", type=int, default=20_000, help="in all rounds of a fault")
    parser.add_argument("--faults", default="all", help=f"with commas, of: {', '.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0, help="packets per second")
    parser.add_argument("--away", type=float, default=Lengths().away, help="of a survey [s]")
    parser.add_argument("--out", type=Path, help="file of the table")
    parser.add_argument("--work", type=Path, help="directory for logs, kept; else a temporary one")
    args = parser.parse_args()
    strange = [] if args.faults == "all" else sorted(set(args.faults.split(",")) - set(FAULTS))
    if strange:
        parser.error(f"there is no fault {', '.join(strange)}")
    return args


def main() -> int:
    """Run the faults one after another, and tell after each."""
    args = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every fault
    # workers import a unit of these tests
    root, paths = str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = root if paths is None else f"{root}{os.pathsep}{paths}"
    faults = [one for one in FAULTS if one != "none"]
    if args.faults != "all":
        faults = args.faults.split(",")
    work = args.work or Path(tempfile.mkdtemp(prefix="soak-"))
    work.mkdir(parents=True, exist_ok=True)
    results = []
    for fault in faults:
        stream = Stream(args.packets)
        given = stream.as_lethal() if fault == "lethal" else stream
        (work / "soak.yml").write_text(given.topology())
        expected = undisturbed(stream, work / "soak.yml")
        soak = Soak(
            [fault],
            given,
            work / fault,
            seed=args.seed,
            rate=args.rate,
            lengths=Lengths(away=args.away),
        )
        results.append(soak.run(args.rounds, expected))
        text = table(results)
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        if args.out is not None:
            args.out.write_text(text)
        if results[-1].ok:
            for cluster in ("broker", "survey"):
                shutil.rmtree(work / fault / cluster, ignore_errors=True)
    sys.stdout.write(table(results))
    good = all(one.ok for one in results)
    if good and args.work is None:
        shutil.rmtree(work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
