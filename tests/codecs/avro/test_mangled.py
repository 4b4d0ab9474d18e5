"""Mangled packets on guarded memory: no read outside, no hang, in both interpreters the same."""

import ctypes
import faulthandler
import json
import mmap
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ampelstream.codecs.avro.backend import Interpreter
from ampelstream.codecs.avro.columns import Reader
from ampelstream.codecs.avro.container import metadata, read_header
from ampelstream.codecs.ztf.datapoints import FIELDS
from ampelstream.simulate import simulate_packets
from tests.codecs.avro.conftest import COMPILED, PLAIN, WHY_NOT

CASES = int(os.environ.get("AMPELSTREAM_FUZZ_CASES", "20000"))
SLOWEST_SECONDS = 3.0
HEADER = bytes.__basicsize__ - 1


class Guarded:
    """Room for one bytes object at a time, whose last byte lies before a page without access.

    The object is put together by hand from the header of another one (CPython's: count of
    references, type, length, hash): so its data can end where the page ends.
    """

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self._size = -(-(size + HEADER) // page) * page
        self._map = mmap.mmap(-1, self._size + page)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        protect = libc.mprotect(ctypes.c_void_p(self._address + self._size), page, 0)
        assert protect == 0, os.strerror(ctypes.get_errno())

    def hold(self, data: bytes) -> bytes:
        at = self._address + self._size - len(data) - HEADER
        ctypes.memmove(at, id(data), HEADER + len(data))
        ctypes.c_ssize_t.from_address(at).value = 1 << 20  # never freed: the memory is not Python's
        held: bytes = ctypes.cast(at, ctypes.py_object).value
        assert len(held) == len(data)
        return held


def mangled(packet: bytes, body: int, dice: random.Random) -> bytes:
    """Change a packet behind its header."""
    data = bytearray(packet)
    for _ in range(dice.randint(1, 6)):
        if len(data) <= body:
            break
        at = dice.randrange(body, len(data))
        kind = dice.random()
        if kind < 0.5:
            data[at] = dice.randrange(256)
        elif kind < 0.65:
            data[at] = dice.choice((0x00, 0x02, 0x04, 0x80, 0xFF))
        elif kind < 0.75:
            del data[at : at + dice.randint(1, 40)]
        elif kind < 0.9:
            data[at:at] = dice.randbytes(dice.randint(1, 12))
        else:
            del data[at:]
    return bytes(data)


def cases(seed: int) -> Iterator[tuple[bytes, int]]:
    packets = simulate_packets(40)
    # without cutouts most of a packet is what is read
    body = read_header(packets[0]).body
    dice = random.Random(seed)  # noqa: S311  (a reproducible test, not a secret)
    for _ in range(CASES):
        yield mangled(dice.choice(packets), body, dice), body


def told(reader: Reader, packet: bytes, body: int) -> tuple[int, Any]:
    columns = reader.read([packet], [body], framed=True)
    status = int(columns.status[0])
    if status < 0:
        return status, columns.offsets("prv_candidates").tolist()
    blocks = [
        columns.block(record, FIELDS_OF[kind], kind)
        for record in ("candidate", "prv_candidates")
        for kind in ("f8", "i8")
    ]
    return status, [(values.tobytes(), null.tobytes()) for values, null in blocks]


FIELDS_OF = {
    "f8": [name for name in FIELDS if name in {"jd", "magpsf", "ra", "dec", "rb", "diffmaglim"}],
    "i8": ["candid", "fid", "pid"],
}


@pytest.mark.slow
def test_both_say_the_same_of_mangled_packets() -> None:
    if COMPILED is None:
        pytest.skip(f"there is no compiled interpreter: {WHY_NOT}")
    packets = simulate_packets(1)
    schema = json.loads(metadata(read_header(packets[0]).key)["avro.schema"])
    wanted = {"": ["objectId", "candid"], "candidate": FIELDS, "prv_candidates": FIELDS}
    plain, quick = (Reader(schema, wanted, one) for one in (PLAIN, COMPILED))
    guarded = Guarded(1 << 20)
    refused = slowest = 0.0
    for packet, body in cases(20180819):
        began = time.perf_counter()
        compiled = told(quick, guarded.hold(packet), body)
        slowest = max(slowest, time.perf_counter() - began)
        assert compiled == told(plain, packet, body)
        refused += compiled[0] < 0
    assert slowest < SLOWEST_SECONDS
    assert 0.2 * CASES < refused < 0.99 * CASES


def test_a_guarded_page_is_guarded() -> None:
    guarded = Guarded(1000)  # must live as long as what it holds
    held = guarded.hold(b"some data")
    assert held == b"some data"
    child = os.fork()
    if not child:
        faulthandler.disable()
        ctypes.string_at(id(held) + HEADER, 100)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    del held  # before its memory goes


def test_rows_that_are_taken_back_leave_no_nulls(interpreter: Interpreter) -> None:
    entry = {"type": "record", "name": "e", "fields": [{"name": "x", "type": ["null", "double"]}]}
    fields = [
        {"name": "history", "type": {"type": "array", "items": entry}},
        {"name": "last", "type": "long"},
    ]
    schema = {"type": "record", "name": "p", "fields": fields}
    nulls = b"\x06\x00\x00\x00\x00"  # three entries, and no number behind them
    filled = b"\x04" + 2 * (b"\x02" + bytes(8)) + b"\x00\x02"
    reader = Reader(schema, {"history": ["x"], "": ["last"]}, interpreter)
    columns = reader.read([nulls, filled], [0, 0], framed=False)
    assert columns.status[0] < 0 < columns.status[1]
    values, null = columns.floats("history", "x")
    assert values.tolist() == [0.0, 0.0]
    assert not null.any()
