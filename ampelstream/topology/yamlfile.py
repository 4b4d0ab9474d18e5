"""YAML files read as pydantic models; every mistake is named with file, line, key and remedy.

`parse` reads any such file (topologies, sources); `load` finds and reads a topology.
"""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ampelstream.errors import ConfigError
from ampelstream.shipped import topologies, topology_path
from ampelstream.topology.places import Places
from ampelstream.topology.spec import TopologySpec
from ampelstream.topology.yamlloader import read_yaml
from ampelstream.wording import mend, problems

__all__ = ["load", "load_placed", "parse"]

M = TypeVar("M", bound=BaseModel)


def _twice(node: yaml.Node, file: Path) -> None:
    """Refuse a key that a mapping names twice; YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(f"{file}:{key.start_mark.line + 1}: key {key.value} stands twice")
            seen.add(key.value)
            _twice(value, file)
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            _twice(part, file)


def parse(text: str, file: Path, model: type[M], *, quote: bool = True) -> M:
    """Validate the text of a file.

    Parameters
    ----------
    text
        Its content.
    file
        Its path, for the messages.
    model
        What it must be.
    quote
        Whether messages may repeat values; not where they may be secrets.

    Raises
    ------
    ConfigError
        It is not YAML, or says what it may not; all problems are named.
    """
    return _parse(text, file, model, quote=quote)[0]


def _parse(text: str, file: Path, model: type[M], *, quote: bool) -> tuple[M, Places]:
    root, content = read_yaml(text, file, quote=quote)
    if root is not None:
        _twice(root, file)
    places = Places(file, root)
    try:
        return model.model_validate(content), places
    except ValidationError as error:
        found = "\n".join(
            f"{places.at(one.path)}: {one.text}"
            for one in problems(error, model, content, quote=quote)
        )
        raise ConfigError(found) from (error if quote else None)


def _read(path: Path | str) -> tuple[Path, str]:
    """The file and its text; a bare name may be that of a shipped topology."""
    file = Path(path)
    if not file.exists() and str(path) in topologies():
        file = topology_path(str(path))
    try:
        return file, file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no topology file {path}; "
            f"{mend(str(path), topologies(), known='shipped ones are')}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ConfigError(f"topology file {path} cannot be read: {why}") from error


def load(path: Path | str) -> TopologySpec:
    """Read and validate a topology file.

    Parameters
    ----------
    path
        The file, or the name of a shipped topology.

    Raises
    ------
    ConfigError
        The file is not there, is not YAML, or says what it may not; all problems are named.
    """
    return load_placed(path)[0]


def load_placed(path: Path | str) -> tuple[TopologySpec, Places]:
    """Do the same, and give the lines at which what it says stands."""
    file, text = _read(path)
    return _parse(text, file, TopologySpec, quote=True)
