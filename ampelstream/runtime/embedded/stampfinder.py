"""Finds the cutouts of a report's candidates: their alerts are read once more, those few only."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from ampelstream.codecs.cutouts import read_cutouts
from ampelstream.errors import AmpelstreamError
from ampelstream.model.candidate import Candidate
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.display import LINE, counted, printable
from ampelstream.report.content import Stamp, StampsOf
from ampelstream.report.quantities import utc_text
from ampelstream.report.stamps import stamp_png
from ampelstream.sources import Source
from ampelstream.sources.again import read_again

__all__ = ["stamps_from"]

_LOG = logging.getLogger(__name__)
_LARGEST_FILE = 2_000_000_000
"""Bytes of a file that is read a second time: of an archive, all that stands before is, too."""
_NO_PACKETS = (".parquet", ".ndjson", ".json")
"""Ends of names of files whose rows have no cutouts."""

_Key = tuple[str, str, str]


def stamps_from(sources: Sequence[Source]) -> StampsOf:
    """Give what finds the cutouts of candidates in the files that they came from.

    Parameters
    ----------
    sources
        The inputs of the replay.
    """

    def find(candidates: Sequence[Candidate]) -> Mapping[_Key, tuple[Stamp, ...]]:
        wanted: dict[Coordinates, list[tuple[_Key, str]]] = {}
        for candidate in candidates:
            where = _record_of(candidate)
            if where is not None and not where[0].source.lower().endswith(_NO_PACKETS):
                wanted.setdefault(where[0], []).append((candidate.key, where[1]))
        return _found(sources, wanted) if wanted else {}

    return find


def _record_of(candidate: Candidate) -> tuple[Coordinates, str] | None:
    """Where the alert of the latest detection is, or of the last alert; and its name."""
    origin = candidate.provenance
    places = dict(zip(origin.alerts, origin.records, strict=False))
    seen = [p for p in candidate.lightcurve if p.id in places and p.positive is not False]
    if seen:
        latest = max(seen, key=lambda point: (point.jd, point.id))
        return places[latest.id], f"Alert {latest.id}, {utc_text(latest.jd)}, {latest.band}"
    if not places:
        return None
    last = max(places)
    return places[last], f"Alert {last}"


def _found(
    sources: Sequence[Source], wanted: Mapping[Coordinates, Iterable[tuple[_Key, str]]]
) -> Mapping[_Key, tuple[Stamp, ...]]:
    stamps: dict[_Key, tuple[Stamp, ...]] = {}
    read = 0
    try:
        for record in read_again(sources, wanted, largest=_LARGEST_FILE):
            read += 1
            if not isinstance(record.value, bytes):
                continue
            images = read_cutouts(record.value)
            made = {kind: stamp_png(image) for kind, image in images.items()}
            for key, name in wanted[record.where]:
                note = f"{name}. As in the packet, not turned; asinh stretch."
                stamps[key] = tuple(
                    Stamp(kind, png, note) for kind, png in made.items() if png is not None
                )
    except (AmpelstreamError, OSError) as error:
        _LOG.warning("the report has no more cutouts: %s", printable(error, LINE))
    if read < len(wanted):
        missing = counted(len(wanted) - read, "alert")
        _LOG.info("the report lacks the cutouts of %s that could not be read again", missing)
    return stamps
