"""Writer schemas by their identifiers: who has them, and a fixed set of them."""

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["FixedSchemas", "Schemas"]


class Schemas(Protocol):
    """Writer schemas that are at hand, by identifier."""

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema as parsed from JSON or by fastavro; None where it is not at hand.

        The same object each time: how to read its packets is remembered for that object.
        """
        ...


class FixedSchemas:
    """Schemas that were collected beforehand.

    Parameters
    ----------
    schemas
        By identifier (Rubin: 100 times the major version, and the minor version).
    """

    def __init__(self, schemas: Mapping[int, Mapping[str, Any]]) -> None:
        self._schemas = dict(schemas)

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema of that identifier, or None."""
        return self._schemas.get(schema_id)
