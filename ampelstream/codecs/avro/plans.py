"""Plans of the writer schemas that were seen, so that no alert waits for a schema to be parsed."""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from ampelstream.codecs.avro.container import metadata
from ampelstream.codecs.avro.garbage import GARBAGE
from ampelstream.codecs.avro.plan import Layout, PacketPlan
from ampelstream.errors import DecodeError

__all__ = ["Plans"]

_KEPT = 32

T = TypeVar("T")


class _Kept(Generic[T]):
    """The last few results of making something, failures included."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[T | DecodeError, object]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], held: object = None) -> T:
        """What was made for the key; ``held`` is kept alive with it."""
        kept = self._made.get(key)
        if kept is None:
            kept = self._made[key] = (_attempt(make), held)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        made = kept[0]
        if isinstance(made, DecodeError):
            raise DecodeError(str(made))
        return made


def _attempt(make: Callable[[], T]) -> T | DecodeError:
    try:
        return make()
    except DecodeError as error:
        return error
    except GARBAGE as error:
        return DecodeError(f"the packet's schema is corrupt: {type(error).__name__}: {error}")


class Plans:
    """Plans of one survey.

    Parameters
    ----------
    layout
        Of its packets.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._containers: _Kept[tuple[PacketPlan, str]] = _Kept()
        self._schemas: _Kept[PacketPlan] = _Kept()

    def of_container(self, key: bytes) -> tuple[PacketPlan, str]:
        """Plan and codec for the metadata of a container.

        Raises
        ------
        DecodeError
            The schema is not that of the survey's alerts, or is corrupt.
        """
        return self._containers.get(key, lambda: self._of_metadata(key))

    def of_schema(self, schema: Mapping[str, Any]) -> PacketPlan:
        """Plan for a schema that is at hand; it is known again by being the same object.

        Raises
        ------
        DecodeError
            It is not that of the survey's alerts, or is corrupt.
        """
        # the schema is held with its plan: no other object can take its id meanwhile
        return self._schemas.get(id(schema), lambda: PacketPlan(schema, self._layout), held=schema)

    def _of_metadata(self, key: bytes) -> tuple[PacketPlan, str]:
        meta = metadata(key)
        schema = json.loads(meta["avro.schema"])
        return PacketPlan(schema, self._layout), meta.get("avro.codec", b"null").decode()
