"""Modules of a user's own that lie beside a topology file, found without being installed.

``unit: mymodule:MyUnit`` names a class of ``mymodule.py`` in the directory of the file. The path of
Python (`sys.path`) stays as it is: what else is imported is found where it always was. Only a name
that is found nowhere else is looked for beside the file, for as long as the process runs, as units
may import more when they compute. One directory at a time: that of the file that was opened last.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["hidden", "look_beside", "looked_beside"]


class _Beside:
    """Finds what lies in a directory; the last of Python's finders.

    Parameters
    ----------
    directory
        Where a topology file is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._found: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that is in no package; those of a package are found through that."""
        if path is not None:
            return None
        spec = PathFinder.find_spec(name, [str(self.directory)], target)
        if spec is not None and spec.origin is not None:  # a mere directory is no module of theirs
            self._found.add(name)
            return spec
        return None

    def forget(self) -> None:
        """Have what was found imported anew: another directory may have a module of the name."""
        for name in list(sys.modules):
            if name.partition(".")[0] in self._found:
                del sys.modules[name]


def _finder() -> _Beside | None:
    return next((one for one in sys.meta_path if isinstance(one, _Beside)), None)


def look_beside(directory: Path) -> None:
    """Find modules in that directory from now on, and no longer in the one before."""
    directory = directory.resolve()
    before = _finder()
    if before is not None:
        if before.directory == directory:
            return
        before.forget()
        sys.meta_path.remove(before)
    importlib.invalidate_caches()  # files may have been written since
    sys.meta_path.append(_Beside(directory))


def looked_beside() -> Path | None:
    """Directory in which modules are found; None where no file was opened."""
    finder = _finder()
    return finder.directory if finder is not None else None


def hidden(module: str) -> tuple[Path, str] | None:
    """Say whether another module of the name was imported than the one that lies there.

    Returns
    -------
    tuple
        The file that lies there, and where the module comes from that is in its way; None where
        there is no such file, or it is the one that was imported.
    """
    finder, first = _finder(), module.partition(".")[0]
    imported = sys.modules.get(first)
    if finder is None or imported is None:
        return None
    spec = PathFinder.find_spec(first, [str(finder.directory)])
    if spec is None or spec.origin is None:
        return None
    origin = getattr(imported, "__file__", None) or "Python itself"
    same = origin == spec.origin or Path(origin).resolve() == Path(spec.origin).resolve()
    return None if same else (Path(spec.origin), origin)
