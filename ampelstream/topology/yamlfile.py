"""YAML files read as pydantic models; every mistake is named with file, line, key and remedy.

`parse` reads any such file (topologies, sources); `load` finds and reads a topology.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ampelstream.errors import ConfigError
from ampelstream.shipped import topologies, topology_path
from ampelstream.topology.spec import TopologySpec
from ampelstream.topology.yamlloader import read_yaml

__all__ = ["load", "parse"]

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


def _line(node: yaml.Node | None, path: tuple[Any, ...]) -> int:
    """Line of the key at that path, or of the last part of the path that is there."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _fields(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Keys that are allowed where the unknown key at the end of the path stands."""
    current: type[BaseModel] | None = model
    for part in path[:-1]:
        if isinstance(part, int) or current is None or part not in current.model_fields:
            continue  # an index, or a name the user chose: the model stays
        current = _model_of(current.model_fields[part].annotation)
    return sorted(current.model_fields) if current else []


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """First pydantic model inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_of(inner)
        if found:
            return found
    return None


def _problems(
    error: ValidationError,
    model: type[BaseModel],
    file: Path,
    root: yaml.Node | None,
    *,
    quote: bool,
) -> Iterator[str]:
    for one in error.errors():
        path = tuple(one["loc"])
        position = f"{file}:{_line(root, path)}: {'.'.join(map(str, path)) or 'the file'}"
        if one["type"] == "extra_forbidden":
            allowed = _fields(model, path)
            close = difflib.get_close_matches(str(path[-1]), allowed, 1)
            remedy = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(allowed)}"
            yield f"{position}: unknown key; {remedy}"
        elif one["type"] == "missing":
            yield f"{position}: is missing; add it"
        elif one["type"] == "model_type":
            what = "nothing stands here" if one["input"] is None else "this is something else"
            yield f"{position}: {what}; it must be keys with values, such as `name: mine`"
        else:
            # of a whole part of the file its message says what matters
            whole = isinstance(one["input"], Mapping | BaseModel)
            got = f" (got {one['input']!r:.60})" if quote and not whole else ""
            yield f"{position}: {one['msg'].removeprefix('Value error, ')}{got}"


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
    root, content = read_yaml(text, file, quote=quote)
    if root is not None:
        _twice(root, file)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = "\n".join(_problems(error, model, file, root, quote=quote))
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
            f"there is no topology file {path}; shipped ones are {', '.join(topologies())}"
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
    file, text = _read(path)
    return parse(text, file, TopologySpec)
