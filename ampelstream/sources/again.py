"""Reading some records once more, by their coordinates."""

from collections.abc import Iterable, Iterator, Sequence

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.sources.files import FileSource
from ampelstream.sources.merge import Source

__all__ = ["read_again"]


def read_again(
    sources: Sequence[Source], wanted: Iterable[Coordinates], *, largest: int
) -> Iterator[SourceRecord]:
    """Give records of files that were read before; what cannot be found again is left out.

    Each file that holds one is read from its beginning to the last one that is wanted.

    Parameters
    ----------
    sources
        The inputs.
    wanted
        Where the records are.
    largest
        Files of more bytes are left out.

    Raises
    ------
    SourceError
        A file cannot be read any more.
    """
    offsets: dict[str, set[int]] = {}
    for one in wanted:
        offsets.setdefault(one.source, set()).add(one.offset)
    for source in sources:
        if not isinstance(source, FileSource):
            continue
        mine = {name for name in offsets if source.holds(name) is not None}
        if not mine:
            continue
        files = source.files(source.listing()).added
        for name in sorted(mine & files.keys()):
            if files[name].stat().st_size > largest:
                continue
            last = max(offsets[name])
            for record in source.rest(name, files[name], min(offsets[name]) - 1):
                if record.where.offset in offsets[name]:
                    yield record
                if record.where.offset >= last:
                    break
