"""A worker keeps the memory that it frees, where the C library can be told so."""

import json
import os
import platform
import subprocess
import sys

import pytest

from ampelstream.runtime.service import allocator

GLIBC = platform.libc_ver()[0] == "glibc"

FAULTS = """
import json, resource, sys
from ampelstream.runtime.service.allocator import keep_memory
kept = keep_memory() if sys.argv[1] == "keeps" else False

def fetch():
    return [b"x" * (8 << 20) for _ in range(4)]

fetch()
fetch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fetch()
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


def faults(how: str, **environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and the page faults of a process that fetches and drops."""
    said = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how],
        env=said | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    kept, count = json.loads(done.stdout)
    return kept, count


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc, which cannot be told")
def test_what_is_freed_is_used_again() -> None:
    kept, few = faults("keeps")
    _, many = faults("plain")
    assert kept
    assert few * 10 < many, "most of the page faults are gone"


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc, which cannot be told")
def test_what_the_environment_says_stands() -> None:
    assert not faults("keeps", MALLOC_ARENA_MAX="2")[0]
    assert not faults("keeps", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0]


@pytest.mark.parametrize("missing", [AttributeError, OSError, TypeError])
def test_another_c_library_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, missing: type[Exception]
) -> None:
    def load(_name: None) -> object:
        if missing is AttributeError:
            return object()
        raise missing

    for name in [one for one in os.environ if one.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("ampelstream.runtime.service.allocator.ctypes.CDLL", load)
    assert not allocator.keep_memory()


SELDOM = """
import gc
from ampelstream.runtime.service.allocator import collect_seldom

class Loop:
    def __init__(self):
        self.itself = self

collect_seldom()
assert gc.get_freeze_count() > 1000
times = []
gc.callbacks.append(lambda phase, info: phase == "stop" and times.append(info["collected"]))
for _ in range(200_000):
    Loop()
print(len(times), sum(times))
"""


def test_cycles_are_found_all_the_same_but_seldom() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SELDOM], check=True, capture_output=True, text=True
    )
    times, found = map(int, done.stdout.split())
    assert 5 < times < 50
    assert found > 100_000


BACK = """
import re
from ampelstream.runtime.service.allocator import give_back

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10

blocks = [bytes(50_000) for _ in range(2_000)]
last = bytes(50_000)  # so that nothing of it is at the end of the heap
del blocks
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc, which cannot be told")
def test_what_is_free_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACK], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(done.stdout) > 50
