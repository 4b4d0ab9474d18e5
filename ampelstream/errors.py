"""Every error that ampelstream raises on purpose, under one root.

A message says what is wrong, where, and what to do about it.
"""

__all__ = [
    "AllFailedError",
    "AmpelstreamError",
    "BrokerError",
    "CatalogError",
    "ConfigError",
    "DecodeError",
    "InputError",
    "PoolError",
    "SkyMapError",
    "SourceError",
    "StateError",
    "StorageError",
    "UnitError",
    "UnknownSchema",
    "UnreachableError",
]


class AmpelstreamError(Exception):
    """Root of all errors raised on purpose."""


class ConfigError(AmpelstreamError, ValueError):
    """A topology, a unit's configuration or a command line asks for the impossible."""


class SourceError(AmpelstreamError, OSError):
    """An input (file, directory, archive) cannot be opened, or a part of it cannot be read."""


class InputError(SourceError, ConfigError):
    """An input that was named is not there, or is another one than before; somebody has to act."""


class UnreachableError(SourceError):
    """No broker answers now; it may later.

    Attributes
    ----------
    cluster
        Whose brokers, for people.
    """

    def __init__(self, message: str, cluster: str = "") -> None:
        super().__init__(message)
        self.cluster = cluster


class DecodeError(AmpelstreamError, ValueError):
    """One record cannot be understood; it goes to the dead letters."""


class UnknownSchema(DecodeError):  # noqa: N818  (named for what is unknown)
    """The record names a writer schema that is not at hand: fetch it, then decode again.

    Attributes
    ----------
    schema_id
        Its identifier in the schema registry.
    """

    def __init__(self, schema_id: int) -> None:
        super().__init__(
            f"schema {schema_id} is not known: without it the record cannot be read. Give "
            f"--schemas, a directory with a file {schema_id}.avsc or the URL of its producer's "
            "schema registry (on Kafka: `registry` in the file of sources)"
        )
        self.schema_id = schema_id


class SkyMapError(AmpelstreamError, ValueError):
    """A sky map lacks something or contradicts itself."""


class CatalogError(ConfigError, LookupError):
    """A catalogue is not there or is not usable."""


class UnitError(AmpelstreamError):
    """A unit cannot give a result for this input."""


class PoolError(UnitError):
    """A unit's computation was lost on the way, which says nothing of its input."""


class StateError(AmpelstreamError):
    """The state on disk does not fit what is asked of it."""


class AllFailedError(AmpelstreamError):
    """The first alerts of a run all failed in the same way: going on would help nobody."""


class StorageError(StateError):
    """The disk does not give or take the state; no record is to blame for it."""


class BrokerError(AmpelstreamError):
    """A Kafka on this machine cannot be fetched, started or ended."""
