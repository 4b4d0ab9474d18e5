"""Every error that this package raises on purpose, under one root."""

__all__ = [
    "ForeignState",
    "LostRecords",
    "ProduceError",
    "ReadError",
    "RecoveryError",
    "SafeFaustError",
    "SettingsError",
    "StoreError",
    "TopicError",
]


class SafeFaustError(Exception):
    """Root of all errors raised on purpose; a message says what, where, and what to do."""


class ProduceError(SafeFaustError, OSError):
    """A record was not acknowledged by the brokers; what it belongs to is not committed."""


class ReadError(SafeFaustError, OSError):
    """A consumer cannot go on; the next start reads on from the last commit."""


class RecoveryError(SafeFaustError):
    """State could not be restored from its changelog; the worker ends and tries again."""


class LostRecords(SafeFaustError):  # noqa: N818  (named for what is lost)
    """Records of a partition did not reach us; the worker ends and reads them again."""


class StoreError(SafeFaustError):
    """The state on disk does not fit what is asked of it."""


class SettingsError(SafeFaustError, ValueError):
    """What was asked of Faust, or what is installed, cannot be right."""


class ForeignState(StoreError, SettingsError):  # noqa: N818  (named for what it is)
    """The state on disk is somebody else's: nothing of it is read; a new start does not help."""


class TopicError(SettingsError):
    """A topic is no longer the one that the work began with; a new start does not help."""
