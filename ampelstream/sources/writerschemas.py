"""Writer schemas for runs in one process: from a directory, or from a registry that is waited for.

Rubin's packets on the wire name their schema by a number. With a directory all is known from the
start. A registry is asked when a number is met for the first time; while it does not answer, the
packets stay in their source, so that none becomes a dead letter for it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ampelstream.codecs.alerts import schema_id_of
from ampelstream.codecs.lsst import FixedSchemas
from ampelstream.errors import ConfigError, InputError, UnreachableError
from ampelstream.model.digest import digest
from ampelstream.model.record import SourceRecord
from ampelstream.sources.merge import After, Source, SourceAround, Waiting
from ampelstream.sources.schemaregistry import SchemaRegistry, parsed_schema

__all__ = ["GivenSchemas", "RegistrySchemas", "SchemaFiles", "open_schemas"]

_SUFFIX = ".avsc"
_NAMING = "a schema's file is named by the number that packets have, such as 900.avsc"


class GivenSchemas(Protocol):
    """What ``--schemas`` comes to.

    Attributes
    ----------
    name
        Tells one from another: a replay that goes on must have the same.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  (see the class)

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema of that number, the same object each time; None where there is none."""
        ...

    def around(self, source: Source) -> Source:
        """The source, whose alerts wait for their schemas where these may come later."""
        ...


class SchemaFiles(FixedSchemas):
    """The schemas of a directory, read once.

    Parameters
    ----------
    directory
        Holds a file ``NUMBER.avsc`` for each schema; files with other endings are left alone.

    Raises
    ------
    InputError
        It is not there, or holds no schema.
    ConfigError
        A file of it is none, or has a name that says no number.
    """

    def __init__(self, directory: Path) -> None:
        try:
            files = sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX)
            texts = {path: path.read_text(encoding="utf-8") for path in files}
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a file is not UTF-8"
            raise InputError(f"schemas cannot be read from {directory}: {reason}") from error
        if not texts:
            raise InputError(f"there is no schema in {directory}: {_NAMING}")
        super().__init__({_number(path): _schema(path, text) for path, text in texts.items()})
        self.name = digest([[path.name, text] for path, text in texts.items()])

    def around(self, source: Source) -> Source:
        """The source itself: what is not known now will never be."""
        return source


def _number(path: Path) -> int:
    if not (path.stem.isascii() and path.stem.isdigit()):
        raise ConfigError(f"{path}: {_NAMING} for version 9.0; rename it")
    return int(path.stem)


def _schema(path: Path, text: str) -> Mapping[str, Any]:
    schema = parsed_schema(text)
    if schema is None:
        raise ConfigError(
            f"{path} is no Avro schema of a record, whole in one file: take what the registry "
            "gives under `schema`, or merge the files that it refers to into it"
        )
    return schema


class RegistrySchemas:
    """The schemas of a registry: each is asked for when it is needed first, and waited for.

    Parameters
    ----------
    registry
        Its client.
    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self.name = registry.url

    def known(self, schema_id: int) -> Mapping[str, Any] | None:
        """Schema of that number; the registry is asked unless it was, lately."""
        schema = self._registry.known(schema_id)
        if schema is None and self._registry.is_due(schema_id):
            asyncio.run(self._registry.fetch(schema_id))
            schema = self._registry.known(schema_id)
        return schema

    def around(self, source: Source) -> Source:
        """The source; it breaks off before an alert while the registry does not answer for it."""
        return _Held(source, self)

    def require(self, schema_id: int) -> None:
        """See to it that all is known of a number that can be.

        Raises
        ------
        UnreachableError
            The registry does not answer: neither with the schema, nor that it does not have it.
        """
        if self.known(schema_id) is None and not self._registry.refused(schema_id):
            why = self._registry.fault(schema_id) or "it did not answer a moment ago"
            raise UnreachableError(
                f"the schema registry {self.name} does not give schema {schema_id}, which alerts "
                f"wait for: {why}",
                self.name,
            )


class _Held(SourceAround[Source]):
    """A source whose alerts are held back until the registry has answered for their schema."""

    def __init__(self, source: Source, schemas: RegistrySchemas) -> None:
        super().__init__(source)
        self._schemas = schemas

    def read(self, after: After) -> Iterator[SourceRecord]:
        for record in self._source.read(after):
            if record.stream == "alerts" and not record.fault:
                schema_id = schema_id_of(record.value)
                if schema_id is not None:
                    self._schemas.require(schema_id)
            yield record

    def waiting(self, after: After) -> Waiting:
        return self._source.waiting(after)

    def following(self) -> "_Held":
        return _Held(self._source.following(), self._schemas)


def open_schemas(where: str, cache: Path) -> GivenSchemas:
    """Open what ``--schemas`` names.

    Parameters
    ----------
    where
        A directory, or the URL of a registry.
    cache
        Directory for schemas that a registry gave.

    Raises
    ------
    ConfigError
        It is neither.
    """
    if "://" in where:
        return RegistrySchemas(SchemaRegistry(where, cache))
    return SchemaFiles(Path(where))
