"""The state store on disk: RocksDB through rocksdict."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from ampelstream.errors import StateError, StorageError

__all__ = ["RocksBackend"]

_CACHE_BYTES = 64 << 20
_WRITE_BUFFER_BYTES = 32 << 20
_BLOOM_BITS = 10


def _options(cache_bytes: int, write_buffer_bytes: int) -> Options:
    """Options with a bounded cache: a store's memory must not grow with its size."""
    table = BlockBasedOptions()
    table.set_bloom_filter(_BLOOM_BITS, block_based=False)
    table.set_block_cache(Cache(cache_bytes))
    options = Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003  (rocksdict's own signature)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(write_buffer_bytes)
    return options


def _why(error: Exception) -> str:
    """Why a database cannot be opened, and what to do."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}; give a directory that can be written"
    if "lock" in str(error).lower():  # RocksDB has no class for it
        return "another ampelstream process is using it; stop that one, or give another directory"
    return (
        f"RocksDB says: {error}. Is it whole, and may this user read and write it? Else give "
        "another directory"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a database's directory from another at its place; None where there is none."""
    try:
        found = path.stat()
        (path / "CURRENT").stat()  # every database of RocksDB has this file
    except OSError:
        return None
    return found.st_dev, found.st_ino


class RocksBackend:
    """One RocksDB directory; a second process on the same directory is refused.

    As a context, it is closed at the end.

    Parameters
    ----------
    path
        Directory of the database; made if absent.
    sync
        Whether a commit waits for the disk. With False a commit survives the death of the process
        but not of the machine.
    read_only
        Whether only to look, as things are now; another process may be using the directory.
    cache_bytes, write_buffer_bytes
        Memory for blocks read and for writes that are not yet in a file [byte].

    Raises
    ------
    StateError
        The directory is in use by another process, or is not readable.
    StorageError
        Later: the disk does not give or take the state.
    """

    def __init__(
        self,
        path: Path,
        *,
        sync: bool = True,
        read_only: bool = False,
        cache_bytes: int = _CACHE_BYTES,
        write_buffer_bytes: int = _WRITE_BUFFER_BYTES,
    ) -> None:
        self.path = path
        try:
            options = _options(cache_bytes, write_buffer_bytes)
            if read_only:
                self._db = Rdict(str(path), options, access_type=AccessType.read_only())
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = Rdict(str(path), options)
        except Exception as error:
            raise StateError(f"cannot open the state in {path}: {_why(error)}") from error
        self._identity = _identity(path)
        self._write_options = WriteOptions()
        self._write_options.sync = sync

    def check(self) -> None:
        """See that the directory is the one that was opened.

        RocksDB goes on in files that were removed, and what it writes there is nowhere.

        Raises
        ------
        StorageError
            It was removed, or is another one.
        """
        if _identity(self.path) != self._identity:
            raise StorageError(
                f"the state in {self.path} was removed while it was in use, and what was written "
                "to it since then is nowhere; a new start goes on with what is there now"
            )

    def get(self, key: bytes) -> bytes | None:
        """Value of ``key``, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._unreadable(error) from error
        return value

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values with start <= key < stop, in key order."""
        cursor = self._db.iter()
        cursor.seek(start)
        while cursor.valid():
            key: bytes = cursor.key()
            if key >= stop:
                return
            yield key, cursor.value()
            cursor.next()
        # a cursor that failed looks like one that has come to the end
        try:
            cursor.status()
        except Exception as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StorageError:
        return StorageError(
            f"cannot read the state in {self.path}: {error}. Was it removed, or does the disk fail?"
        )

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        """Apply the batch as one RocksDB WriteBatch; None deletes.

        Raises
        ------
        StorageError
            The disk did not take it; nothing of it is applied.
        """
        out = WriteBatch(raw_mode=True)
        for key, value in batch.items():
            if value is None:
                out.delete(key)
            else:
                out.put(key, value)
        try:
            self._db.write(out, self._write_options)
        except Exception as error:
            raise StorageError(
                f"cannot write the state in {self.path}: {error}. Is the disk full?"
            ) from error

    def close(self) -> None:
        """Flush and close; the directory is free afterwards.

        Raises
        ------
        StorageError
            The disk did not take what was in memory, or as `check`.
        """
        try:
            self._db.close()
        except Exception as error:
            self.check()  # which has better words
            raise StorageError(
                f"cannot close the state in {self.path}: {error}. Is the disk full?"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except StorageError:
            if error is None:  # else that says more
                raise
