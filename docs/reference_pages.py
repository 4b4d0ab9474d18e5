"""Pages of the site that are made from the code: what they say is what it does.

The reference of topology files is made from the models that read them, that of units from their
classes, that of commands from the commands. ``conf.py`` writes them before Sphinx reads.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from ampelstream.model.fieldtypes import FieldType

__all__ = ["pages"]

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[str, str]:
    """Text of each page that is made, by its path below ``docs``."""
    return {
        "reference/topology.md": topology_page(),
        "reference/units.md": units_page(),
        "reference/commands.md": commands_page(),
        "operations.md": (ROOT / "deploy" / "README.md").read_text(),
    }


# --- the topology file ----------------------------------------------------------------------------


def topology_page() -> str:
    """Every key of a topology file, from the models that read it."""
    from ampelstream.topology.spec import TopologySpec

    said = (
        "YAML. A key that is not in these tables is an error, with the name that may have been "
        "meant. Check a file with `ampelstream topology check FILE`, and see "
        "[conditions](../conditions.md) for what `where` and `when` may say."
    )
    parts = ["# The topology file", said]
    parts.extend(_model(TopologySpec, "", set()))
    return "\n\n".join(parts) + "\n"


def _model(model: type[BaseModel], path: str, done: set[type]) -> Iterator[str]:
    done.add(model)
    yield f"## `{path}`" if path else "## At the top"
    yield _summary(model)
    rows = ["| key | type | default | what it says |", "| --- | --- | --- | --- |"]
    inner: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        rows.append(
            f"| `{name}` | {_type(field.annotation)} | {_default(field)} | "
            f"{described(model, name, field)} |"
        )
        below = f"{path}.{name}" if path else name
        inner.extend((one, f"{below}{suffix}") for one, suffix in _inner(field.annotation, ""))
    yield "\n".join(rows)
    for one, below in inner:
        if one not in done:
            yield from _model(one, below, done)


def _summary(thing: type) -> str:
    """Docstring up to the list of attributes."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return re.split(r"\n\n?(?:Attributes|Parameters)\n-+", text)[0].strip()


def described(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """What a key says: its description, or its entry among the attributes of the docstring."""
    from ampelstream.model.fieldtypes import documented

    if field.description:
        return field.description.replace("|", "\\|")
    return documented(model).get(name, "").replace("|", "\\|")


def _inner(hint: Any, suffix: str) -> Iterator[tuple[type[BaseModel], str]]:
    """Models inside a type, and how a path goes on to them."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint, suffix
    origin = get_origin(hint)
    for one in get_args(hint):
        more = ".NAME" if origin is dict else "[]" if origin in {tuple, list} else ""
        yield from _inner(one, suffix + more)


def _type(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in parts)
    if origin is Annotated:
        return _type(parts[0])
    if origin in {Union, UnionType}:
        return " or ".join(_type(one) for one in parts if one is not type(None))
    if origin in {tuple, list}:
        kinds = [one for one in parts if one is not Ellipsis]
        same = len(set(map(str, kinds))) == 1
        return f"list of {_type(kinds[0]) if same else ', '.join(map(_type, kinds))}"
    if origin is dict:
        return f"names, and for each {_type(parts[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "keys (below)"
    words = {float: "number", int: "whole number", str: "text", bool: "`true` or `false`"}
    return words.get(hint, "anything")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None or value in ("", (), {}):
        return "none"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


# --- units ----------------------------------------------------------------------------------------


def units_page() -> str:
    """Every unit that ships: what it does, its keys, the fields of its result."""
    # imported here, so that a mistake in a unit is one of the page, and not of the hook
    from ampelstream.cli.units import row
    from ampelstream.model.fieldtypes import type_of
    from ampelstream.units import ObjectUnit
    from ampelstream.units.discovery import available, resolve

    parts = [
        "# Units",
        "What ships. `ampelstream units show NAME` says the same in a terminal.",
    ]
    for name in available():
        unit, facts = resolve(name), row(name)
        if not unit.__module__.startswith("ampelstream."):
            continue  # of a package that happens to be installed beside
        parts.append(f"## {name}")
        kinds = [f"*{facts['kind']}*, version {unit.version}"]
        kinds += [f"gives `{facts['provides']}`"] if facts["provides"] else []
        kinds += [
            f"{verb} {', '.join(f'`{one}`' for one in facts[verb])}"
            for verb in ("needs", "uses")
            if facts[verb]
        ]
        parts.append("; ".join(kinds))
        parts.append(_prose(_summary(unit)))
        parts.append(_keys(unit))
        if issubclass(unit, ObjectUnit):
            parts.extend(_results(type_of(unit.result_class()), "Its result:"))
    return "\n\n".join(parts) + "\n"


def _prose(text: str) -> str:
    """A docstring as Markdown: code has single back-quotes there."""
    return text.replace("``", "`")


def _keys(unit: type[BaseModel]) -> str:
    if not unit.model_fields:
        return "It has no configuration."
    rows = ["| key | type | default | what it says |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{name}` | {_type(field.annotation)} | {_default(field)} | "
        f"{_prose(described(unit, name, field))} |"
        for name, field in unit.model_fields.items()
    ]
    return "\n".join(rows)


def _results(held: "FieldType", heading: str) -> Iterator[str]:
    """Fields of a result, and of the records within it."""
    if held.fields:
        yield heading
        rows = ["| field | type | what it says |", "| --- | --- | --- |"]
        for name, of in held.fields.items():
            about = of.about.replace("|", "\\|")
            rows.append(f"| `{name}` | {of} | {about} |")
        yield "\n".join(rows)
    for name, of in held.fields.items():
        yield from _results(of, f"In `{name}`:")
    if held.of is not None:
        yield from _results(held.of, f"{heading.removesuffix(':')}, under each key:")


# --- commands -------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its options."""
    import typer
    from typer.cli import get_docs_for_click

    from ampelstream.cli.main import app

    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ampelstream")
    text: str = get_docs_for_click(obj=command, ctx=context, name="ampelstream")
    return text
