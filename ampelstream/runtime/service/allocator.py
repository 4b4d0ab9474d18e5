"""Memory that a worker uses again and again is not given back to the system in between.

A fetch of some megabytes is received, unpacked and dropped, many times a second. By default the C
library takes such blocks from the system one by one and gives them back at once, so that every page
of them is a fault of the page table when it is touched anew: two thirds of what it takes to read a
record of 66 KB (docs/kafka.md, "The floor").
"""

import ctypes
import gc
import os
from typing import Any

__all__ = ["collect_seldom", "give_back", "keep_memory"]

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50
"""New objects until the youngest generation is looked at (700 by default), and how often one is
until the next older one is: what a batch of alerts makes is gone before, without being looked at,
and a process with an engine and its libraries has half a million objects that stay."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of these parameters for ``mallopt``, in glibc's ``malloc.h``."""
_LARGEST_KEPT = 32 << 20
"""Blocks up to this size stay with the process [byte]: the most that every version of glibc takes,
and more than a fetch."""
_KEPT = 128 << 20
"""So much that is free stays with the process at most [byte]."""
_SAID = "MALLOC_", "GLIBC_TUNABLES"


def keep_memory() -> bool:
    """Let this process keep what it frees, up to a bound; to be called before its first thread.

    One heap is for all threads: the one that fetches frees nothing, the one that works on the
    records does, and each would keep a heap of its own. They seldom allocate at the same time, as
    the interpreter lets one of them run.

    Returns
    -------
    bool
        Whether it was done. It is not where the C library is another one, nor where the environment
        says how memory is to be allocated: then whoever runs this has decided.
    """
    if any(name.startswith(_SAID) for name in os.environ):
        return False
    mallopt = _of_library("mallopt")
    if mallopt is None:
        return False
    wanted = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 1))
    done = [mallopt(name, value) == 1 for name, value in wanted]  # each, whatever the others say
    return all(done)


def collect_seldom() -> None:
    """Let the garbage collector look for cycles less often, and not at what is there by now.

    To be called when what a process needs has been imported and opened. Alerts make no cycles: the
    collector finds nothing, and took a third of the time of a replay that accepts every alert.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def give_back() -> None:
    """Return to the system what is free, where the C library can; for work of another kind."""
    gc.collect()
    trim = _of_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_library(name: str) -> Any:
    """A function of glibc; None where the C library is another one."""
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version  # others know mallopt, with other parameters
        return getattr(library, name)
    except (OSError, AttributeError, TypeError):
        return None
