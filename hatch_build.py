"""Compiles the interpreter of packets when the package is built, where that is possible.

Where there is no C compiler, or Python's headers are missing, the package is built without it: the
interpreter then runs as the Python that it is written in, and ``ampelstream doctor`` says so.
``AMPELSTREAM_BUILD=compiled`` makes it an error instead, ``AMPELSTREAM_BUILD=plain`` does not try.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "AMPELSTREAM_BUILD"
PACKAGE = "ampelstream/codecs/avro"
MODULE = "ampelstream.codecs.avro.interpreter"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,  # of the buffers that are written
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "show_performance_hints": False,
}


def compile_interpreter(root: Path) -> Path:
    """Compile it in place; gives the extension module.

    Raises
    ------
    Exception
        Of any kind: there is no compiler, or it does not succeed.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    source = root / PACKAGE / "interpreter.py"
    with tempfile.TemporaryDirectory() as scratch:
        # the sources are copied, with the packages around them: the C file must not lie in the tree
        inside = Path(scratch) / PACKAGE
        inside.mkdir(parents=True)
        for path in (inside, *inside.parents):
            if path == Path(scratch):
                break
            (path / "__init__.py").touch()
        for name in ("interpreter.py", "interpreter.pxd"):
            shutil.copy(source.with_name(name), inside)
        here = Path.cwd()
        os.chdir(scratch)
        try:
            extension = Extension(
                MODULE, [f"{PACKAGE}/interpreter.py"], extra_compile_args=["-O2", "-g0"]
            )
            modules = cythonize([extension], compiler_directives=DIRECTIVES, quiet=True)
            command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
            command.inplace = 0
            command.build_lib, command.build_temp = "built", "objects"
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(here)
        (built,) = (Path(scratch) / "built" / PACKAGE).glob("interpreter.*")
        made = source.with_name(built.name)  # with the name of this Python: others have theirs
        shutil.copy(built, made.with_name(f"{made.name}.part"))
        made.with_name(f"{made.name}.part").replace(made)
    sources = (source, source.with_suffix(".pxd"))
    digest = hashlib.sha256(b"".join(one.read_bytes() for one in sources)).hexdigest()
    made.with_name(f"{made.name}.built-from").write_text(digest)
    return made


class InterpreterHook(BuildHookInterface):  # type: ignore[type-arg]  # (of hatchling's own config)
    """Called by hatchling before a wheel, or an editable one, is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and let the wheel be of this platform."""
        wanted = os.environ.get(VARIABLE, "")
        if self.target_name != "wheel" or wanted == "plain":
            return
        try:
            made = compile_interpreter(Path(self.root))
        except Exception as error:
            if wanted == "compiled":
                raise
            why = str(error).strip().splitlines()
            self.app.display_warning(
                "the interpreter of packets is not compiled, and runs as plain Python, which is "
                f"slower: {why[-1] if why else type(error).__name__}"
            )
            return
        if version == "editable":
            return  # it lies in the tree, beside its source
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in (made, made.with_name(f"{made.name}.built-from")):
            build_data["force_include"][str(path)] = f"{PACKAGE}/{path.name}"
