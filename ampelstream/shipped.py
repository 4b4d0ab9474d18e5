"""Finding the topologies and schemas that ship, in a checkout and in an installed package."""

from pathlib import Path

__all__ = ["earlier_schemas", "schema_path", "topologies", "topology_path"]

_PACKAGE = Path(__file__).resolve().parent


def _directory(name: str) -> Path:
    """The directory in the wheel, or else at the top of the checkout."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def topologies() -> list[str]:
    """Names of the topologies that ship, sorted."""
    return sorted(path.stem for path in _directory("topologies").glob("*.yml"))


def topology_path(name: str) -> Path:
    """File of a shipped topology; it need not exist."""
    return _directory("topologies") / f"{name}.yml"


def schema_path(name: str) -> Path:
    """File of one of our Avro schemas; it need not exist."""
    return _directory("schemas") / f"{name}.avsc"


def earlier_schemas(name: str) -> list[Path]:
    """Files of what a schema of ours was in earlier versions, oldest first."""
    return sorted(_directory("schemas").glob(f"earlier/{name}.*.avsc"))
