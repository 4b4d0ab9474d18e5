"""Mutated packets: an error that we name, or an alert; never a crash, a hang or a flood."""

import os
import random
import resource
import time

from ampelstream.codecs.ztf import datapoints, decode
from ampelstream.errors import DecodeError

CASES = int(os.environ.get("AMPELSTREAM_FUZZ_CASES", "10000"))
SLOWEST_SECONDS = 3.0
GROWTH_KILOBYTES = 300_000


def mutated(packet: bytes, dice: random.Random) -> bytes:
    data = bytearray(packet)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data))
        kind = dice.random()
        if kind < 0.6:
            data[at] = dice.randrange(256)
        elif kind < 0.75:
            del data[at : at + dice.randint(1, 40)]
        elif kind < 0.9:
            data[at:at] = dice.randbytes(dice.randint(1, 12))
        else:
            del data[at:]
        if not data:
            return b""
    return bytes(data)


def test_ten_thousand_mutated_packets(packets: list[bytes]) -> None:
    dice = random.Random(20180819)  # noqa: S311  (a reproducible test, not a secret)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = slowest = 0.0
    for _ in range(CASES):
        case = mutated(dice.choice(packets), dice)
        began = time.process_time()  # of a core: others may have it meanwhile
        try:
            alert = decode(case)
            alert.history.epochs()
            alert.history.forced()
            datapoints(alert)
        except DecodeError:
            refused += 1
        slowest = max(slowest, time.process_time() - began)
    assert 0.2 * CASES < refused < CASES  # the mutations bite, and not all of them kill
    assert slowest < SLOWEST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KILOBYTES
