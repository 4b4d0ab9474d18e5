"""Which of the two interpreters runs: the compiled one where it was built, the plain one elsewhere.

``AMPELSTREAM_INTERPRETER=plain`` takes the plain one in any case, and ``compiled`` insists on the
other. ``ampelstream doctor`` shows which it is, and why.
"""

import hashlib
import importlib.util
import os
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ampelstream.errors import ConfigError

__all__ = [
    "BUILT_FROM",
    "CHOSEN",
    "CODES",
    "VARIABLE",
    "WHY",
    "Interpreter",
    "compiled",
    "plain",
    "source_digest",
]

VARIABLE = "AMPELSTREAM_INTERPRETER"
BUILT_FROM = ".built-from"
"""What is behind the name of the compiled interpreter in that of the digest of its source."""
_HERE = Path(__file__).parent
_NAME = "ampelstream.codecs.avro.interpreter"


def source_digest() -> str:
    """Digest of what the compiled interpreter is made from; kept beside it when it is built."""
    sources = (_HERE / "interpreter.py", _HERE / "interpreter.pxd")
    return hashlib.sha256(b"".join(one.read_bytes() for one in sources)).hexdigest()


class Interpreter(NamedTuple):
    """One of the two.

    Attributes
    ----------
    packets
        Runs a program over packets (see ``interpreter.py``).
    compiled
        Whether it is the compiled one, which takes a program as arrays; the other takes lists.
    module
        Where it is from.
    """

    packets: Callable[..., None]
    compiled: bool
    module: ModuleType


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain() -> Interpreter:
    """The interpreter as it is written."""
    module = _load(f"{_NAME}_plain", _HERE / "interpreter.py")
    return Interpreter(module.packets, compiled=False, module=module)


def compiled() -> tuple[Interpreter | None, str]:
    """The compiled interpreter, or None and why there is none."""
    for suffix in EXTENSION_SUFFIXES:
        path = _HERE / f"interpreter{suffix}"
        if not path.exists():
            continue
        built_from = path.with_name(f"{path.name}{BUILT_FROM}")
        if not built_from.exists() or built_from.read_text().strip() != source_digest():
            return None, f"{path.name} was built from another version of its source; build it anew"
        try:
            module = _load(_NAME, path)
        except ImportError as error:
            return None, f"{path.name} cannot be loaded: {error}"
        return Interpreter(module.packets, compiled=True, module=module), ""
    return None, (
        "it was not built for this Python: there was no C compiler, or no headers, or it was not "
        "wanted"
    )


def _chosen(wanted: str) -> tuple[Interpreter, str]:
    """The interpreter, and why it is not the compiled one."""
    if wanted not in {"", "plain", "compiled"}:
        raise ConfigError(f"{VARIABLE} is {wanted!r}; it may be 'plain' or 'compiled', or not set")
    if wanted == "plain":
        return plain(), f"{VARIABLE}=plain asks for it"
    found, why = compiled()
    if found is not None:
        return found, ""
    if wanted == "compiled":
        raise ConfigError(f"{VARIABLE}=compiled, but there is no compiled interpreter: {why}")
    return plain(), why


CHOSEN, WHY = _chosen(os.environ.get(VARIABLE, ""))
"""The one that runs, and why it is not the compiled one (empty where it is)."""

CODES: Any = CHOSEN.module
"""Numbers of instructions, steps and faults, by name (see ``interpreter.py``)."""
