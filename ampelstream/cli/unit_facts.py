"""What the command line tells of a unit."""

import inspect
from typing import Any

from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ampelstream.errors import ConfigError
from ampelstream.model.display import LINE, printable
from ampelstream.units.base import AlertFilter, MatchFilter, ObjectUnit, Unit
from ampelstream.units.registry import resolve

__all__ = ["describe", "kind", "print_rows", "row", "schema"]

_KINDS: tuple[tuple[type[Unit], str], ...] = (
    (AlertFilter, "alert filter"),
    (MatchFilter, "match filter"),
    (ObjectUnit, "object unit"),
)


def kind(unit: type[Unit]) -> str:
    """Which contract the unit keeps."""
    return next((name for base, name in _KINDS if issubclass(unit, base)), "unit")


def row(name: str) -> dict[str, Any]:
    """One line of the list; a unit that cannot be imported says why in ``error``."""
    try:
        unit = resolve(name)
    except ConfigError as error:
        return {"name": name, "kind": None, "error": str(error)}
    return {
        "name": name,
        "kind": kind(unit),
        "provides": getattr(unit, "provides", None),
        "needs": list(getattr(unit, "needs", ())),
        "uses": list(getattr(unit, "uses", ())),
        "doc": _doc(unit).partition("\n")[0],
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the list as a table for people."""
    table = Table()
    for heading in ("unit", "kind", "provides", "needs", "uses", "what it does"):
        table.add_column(heading)
    for one in rows:
        cells = (
            one["name"],
            one["kind"] or "broken",
            one.get("provides") or "",
            ", ".join(one.get("needs", ())),
            ", ".join(one.get("uses", ())),
            one.get("doc") or one.get("error") or "",
        )
        table.add_row(*(Text(printable(cell, LINE)) for cell in cells))
    Console().print(table)


def schema(unit: type[Unit]) -> dict[str, Any]:
    """JSON schema of the unit's configuration."""
    found: dict[str, Any] = unit.model_json_schema()
    return found


def describe(unit: type[Unit]) -> str:
    """Docstring, dependencies and the keys of the configuration."""
    facts = [f"{unit.__name__} ({kind(unit)}, version {unit.version})"]
    for name in ("provides", "needs", "uses"):
        value = getattr(unit, name, None)
        if value:
            facts.append(f"{name}: {value if isinstance(value, str) else ', '.join(value)}")
    if getattr(unit, "needs_event", False):
        facts.append("needs an event")
    keys = [_key(name, field) for name, field in unit.model_fields.items()]
    head = "Configuration:" if keys else "It has no configuration."
    return "\n".join([*facts, "", _doc(unit), "", head, *keys])


def _doc(unit: type[Unit]) -> str:
    """Docstring of the class itself; not the one that pydantic or a base class lends it."""
    return inspect.cleandoc(unit.__dict__.get("__doc__") or "")


def _key(name: str, field: FieldInfo) -> str:
    hint = field.annotation
    plain = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    default = (
        "required"
        if field.is_required()
        else f"default {field.get_default(call_default_factory=True)!r}"
    )
    said = f"\n      {field.description}" if field.description else ""
    return f"  {name}: {plain}, {default}{said}"
