"""Packets of one writer schema as a batch of alerts; what differs between surveys is theirs."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ampelstream.codecs.avro.columns import Columns, fault
from ampelstream.codecs.avro.container import first_block
from ampelstream.codecs.avro.packets import PacketSchema, Wanted
from ampelstream.codecs.avro.program import UnfitSchema
from ampelstream.errors import AmpelstreamError, DecodeError, UnitError
from ampelstream.model.alert import Alert
from ampelstream.model.alertbatch import Asked, Bools, Floats
from ampelstream.model.alertfacts import Fact, fact
from ampelstream.model.flags import NO, UNKNOWN, YES, flag
from ampelstream.model.lightcurve import AB_OF_NJY, DETECTED_SIGMA, LIMIT_SIGMA, Datapoint

__all__ = [
    "MAG_PER_RELATIVE_FLUX",
    "Forced",
    "Measurements",
    "PacketBatch",
    "Rows",
    "datapoints_of",
    "flags_of",
    "floats_of",
    "integer",
    "integers_of",
    "magnitudes",
    "on_sky",
    "packets_of",
    "texts_of",
]

MAG_PER_RELATIVE_FLUX = 2.5 / math.log(10.0)
"""Error of a magnitude for the relative error of its flux [mag]."""

_LONG = 1 << 63
_KINDS = {"f8": "number", "i8": "number", "bool": "bool", "text": "text"}


class Rows(NamedTuple):
    """Values of measurements, one behind the other; None where there are none.

    Attributes
    ----------
    integers, labels, floats
        Of the survey's integer fields, of the one that is text, and of its floats.
    """

    integers: list[int | None]
    labels: Sequence[Any]
    floats: list[float | None]


class Forced(NamedTuple):
    """What makes forced photometry of packets.

    Attributes
    ----------
    rows
        The measurements, one behind the other.
    offsets
        As of `Measurements`.
    point
        Makes a datapoint of a row; None of one that says that nothing could be measured.
    """

    rows: Rows
    offsets: Sequence[int]
    point: Callable[[Rows, int], Datapoint | None]

    def datapoints(self, packet: int) -> list[Datapoint]:
        """Forced photometry of a packet.

        Raises
        ------
        DecodeError
            An entry is corrupt.
        """
        rows = range(self.offsets[packet], self.offsets[packet + 1])
        points = (self.point(self.rows, row) for row in rows)
        return [one for one in points if one is not None]


class Measurements(NamedTuple):
    """What makes the datapoints of packets.

    Attributes
    ----------
    own
        Of each packet's own detection.
    earlier
        Of the histories, one behind the other.
    offsets
        Where the history of each packet begins, and where the last one ends.
    point
        Makes a datapoint of a row; of the packet's own detection, or of an earlier one.
    forced
        Forced photometry; None where the packets have none.
    """

    own: Rows
    earlier: Rows
    offsets: Sequence[int]
    point: Callable[[Rows, int, bool], Datapoint]
    forced: Forced | None = None

    def datapoints(self, packet: int) -> list[Datapoint]:
        """Datapoints of a packet: its history, forced photometry, its own detection.

        Raises
        ------
        DecodeError
            An entry is corrupt.
        """
        point, earlier = self.point, self.earlier
        rows = range(self.offsets[packet], self.offsets[packet + 1])
        found = [point(earlier, row, False) for row in rows]  # noqa: FBT003  (a call each)
        if self.forced is not None:
            found += self.forced.datapoints(packet)
        found.append(point(self.own, packet, True))  # noqa: FBT003  (a call each)
        return found


class PacketBatch(ABC):
    """Alerts of one writer schema, as columns.

    Parameters
    ----------
    schema
        Of their packets.
    values
        The packets.
    starts
        Where the record of each begins; of a container, where its header ends.
    framed
        Whether they are containers.
    asked
        What is asked of them.

    Raises
    ------
    UnfitSchema
        What is needed of every packet has no columns: they are to be decoded one by one.
    DecodeError
        The schema is corrupt.
    """

    survey: ClassVar[str]
    record: ClassVar[str]
    """Name of the record of an alert's own detection."""
    history: ClassVar[str]
    """Name of the array of earlier ones."""
    identity: ClassVar[tuple[str, ...]]
    """Fields of the packet, beside that record, that tell which alert it is."""
    position: ClassVar[tuple[str, ...]]
    """Fields of that record that every alert is asked for."""
    times: ClassVar[tuple[str, ...]]
    """Fields of an earlier detection that say when it was."""
    measured: ClassVar[tuple[str, ...]]
    """Fields of a detection that make a datapoint."""
    forced: ClassVar[tuple[str, tuple[str, ...]]]
    """Name of the array of forced photometry, and the fields that make a datapoint of it."""

    jd: Floats
    ra: Floats
    dec: Floats
    faults: dict[int, AmpelstreamError]
    _candids: npt.NDArray[np.int64]
    _past: tuple[npt.NDArray[np.int64], Floats] | None

    def __init__(
        self,
        schema: PacketSchema,
        values: list[bytes],
        starts: Sequence[int],
        asked: Asked,
        *,
        framed: bool,
    ) -> None:
        self._schema = schema
        self._values = values
        self._starts = starts
        self._framed = framed
        self.columns = self._read(self.wanted(asked), values, starts)
        self.faults = {
            row: fault(int(self.columns.status[row]))
            for row in np.flatnonzero(self.columns.status < 0).tolist()
        }

    @classmethod
    def wanted(cls, asked: Asked) -> Wanted:
        """Fields to read for what is asked."""
        own = tuple(sorted(asked.fields.union(cls.position)))
        history = ((cls.history, cls.times),) if asked.epochs else ()
        return (("", cls.identity), (cls.record, own), *history)

    @classmethod
    def lightcurve(cls) -> Wanted:
        """Fields to read for datapoints."""
        own = tuple(sorted({*cls.measured, *cls.position}))
        return (("", cls.identity), (cls.record, own), (cls.history, cls.measured), cls.forced)

    def _read(self, wanted: Wanted, values: list[bytes], starts: Sequence[int]) -> Columns:
        reader = self._schema.reader(wanted)
        if reader is None:
            raise UnfitSchema(f"{self.history} has no columns")
        columns = reader.read(values, starts, framed=self._framed)
        if columns.is_table(self.record):
            raise UnfitSchema(f"{self.record} is no record")
        if not columns.is_table(self.history) and any(
            columns.has(self.history, name) for name in self.measured
        ):
            raise UnfitSchema(f"{self.history} is no array")
        return columns

    def _needs(self, record: str, kinds: Collection[str | None], *names: str) -> None:
        for name in names:
            if self.columns.kind(record, name) not in kinds:
                raise UnfitSchema(f"{name} has no such column")

    def _look_at(self, rows: Iterable[int]) -> None:
        """Say what is wrong with rows that cannot be alerts."""
        for row in rows:
            if row not in self.faults:
                try:
                    self.alert(row)
                except AmpelstreamError as error:
                    self.faults[row] = error
                else:
                    raise UnfitSchema("its columns differ from its records")

    def __len__(self) -> int:
        return len(self._values)

    # --- columns --------------------------------------------------------------------------------

    def kind(self, name: str) -> str | None:
        """What a field holds."""
        kind = self.columns.kind(self.record, name)
        return None if kind is None else _KINDS.get(kind, kind)

    def number(self, name: str) -> tuple[Floats, Bools]:
        """Values of a field of numbers, and where there is null."""
        return self.columns.floats(self.record, name)

    def integer(self, name: str) -> npt.NDArray[np.int64] | None:
        """The same as whole numbers; None where the field is of floats."""
        if self.columns.kind(self.record, name) == "f8":
            return None
        return self.columns.integers(self.record, name)[0]

    def nulls(self, name: str) -> Bools:
        """Where a field of text is null."""
        return self.columns.spans(self.record, name)[2]

    def texts(self, name: str) -> list[str | None]:
        """Values of a field of text."""
        return texts_of(self.columns, self.record, name, range(len(self)))

    def among(self, name: str, values: Collection[str]) -> Bools:
        """Where a field of text has one of some values."""
        begin, size, null = self.columns.spans(self.record, name)
        # a surrogate that stands alone is in no text
        wanted = {value.encode("utf-8", "surrogatepass") for value in values}
        cut = zip(self._values, begin.tolist(), (begin + size).tolist(), strict=True)
        found = np.array([data[first:behind] in wanted for data, first, behind in cut], bool)
        return found & ~null

    def flags(self, name: str) -> Floats:
        """What a field says that means yes or no; NaN where it says neither, or is not there."""
        return flags_of(self.columns, self.record, name, range(len(self)))

    # --- one alert ------------------------------------------------------------------------------

    def epochs(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Times of the earlier detections [JD, UTC]."""
        if self._past is None:
            raise UnitError("times of earlier detections are looked at, and were not asked for")
        return self._past

    def candid(self, row: int) -> int:
        """Identifier of the detection."""
        return int(self._candids[row])

    @abstractmethod
    def object_id(self, row: int) -> str:
        """Name of the object."""

    def alert(self, row: int) -> Alert:
        """The alert by itself, decoded anew."""
        data, begin = self._values[row], self._starts[row]
        if self._framed:
            data, begin = first_block(data, begin, "null"), 0
        return self._from_record(self._schema, data, begin)

    @staticmethod
    @abstractmethod
    def _from_record(schema: PacketSchema, data: bytes, begin: int) -> Alert:
        """An alert from its record."""

    @staticmethod
    @abstractmethod
    def _points_of(alert: Alert) -> list[Datapoint]:
        """Datapoints of an alert that was decoded by itself."""

    @staticmethod
    @abstractmethod
    def _measurements(columns: Columns) -> Measurements:
        """What makes datapoints, of columns that were read for them."""

    def _points(self, columns: Columns) -> Iterator[list[Datapoint] | AmpelstreamError]:
        """Datapoints of each packet."""
        measurements = self._measurements(columns)
        for packet, status in enumerate(columns.status.tolist()):
            try:
                if status < 0:
                    raise fault(status)
                found = measurements.datapoints(packet)
            except DecodeError as error:
                yield error
            else:
                yield found

    def datapoints(self, rows: Sequence[int]) -> Mapping[int, list[Datapoint] | AmpelstreamError]:
        """Datapoints of some alerts: history, forced photometry, their own detection."""
        values = [self._values[row] for row in rows]
        starts = [self._starts[row] for row in rows]
        try:
            columns = self._read(self.lightcurve(), values, starts)
            fields = [(self.record, name) for name in self.measured]
            fields += [(self.forced[0], name) for name in self.forced[1]]
            if not any(columns.kind(*field) == "other" for field in fields):
                found = dict(zip(rows, self._points(columns), strict=True))
                for place in columns.crowded():
                    alone = self._read(self.lightcurve(), [values[place]], [starts[place]])
                    found[rows[place]] = next(self._points(alone))
                return found
        except (UnfitSchema, DecodeError):
            pass  # a field of a datapoint has no column
        return {row: self._by_itself(row) for row in rows}

    def facts(
        self, rows: Sequence[int], names: Collection[str]
    ) -> Mapping[int, dict[str, Fact] | AmpelstreamError]:
        """Fields of the own detections of some alerts; None where there is no such value."""
        wanted = tuple(sorted(names))
        values = [self._values[row] for row in rows]
        starts = [self._starts[row] for row in rows]
        columns = None
        with suppress(UnfitSchema, DecodeError):
            columns = self._read((("", ()), (self.record, wanted)), values, starts)
        if (
            columns is None
            or (columns.status < 0).any()
            or any(columns.kind(self.record, name) == "other" for name in wanted)
        ):
            return {row: self._facts_alone(row, wanted) for row in rows}
        found = [_facts_of(columns, self.record, name) for name in wanted]
        return {
            row: {name: fact(one[place]) for name, one in zip(wanted, found, strict=True)}
            for place, row in enumerate(rows)
        }

    def _facts_alone(self, row: int, names: Sequence[str]) -> dict[str, Fact] | AmpelstreamError:
        """Fields of an alert that has no columns for them."""
        try:
            candidate = self.alert(row).candidate
        except AmpelstreamError as error:
            return error
        return {name: fact(candidate.get(name)) for name in names}

    def _by_itself(self, row: int) -> list[Datapoint] | AmpelstreamError:
        """Datapoints of an alert that has no columns for them."""
        try:
            return self._points_of(self.alert(row))
        except AmpelstreamError as error:
            return error


def integer(entry: Mapping[str, Any], name: str) -> int | None:
    """Integer in a field of an entry that is decoded already; None where there is none.

    Raises
    ------
    DecodeError
        It is longer than 64 bits.
    """
    value = entry.get(name)
    if value is None or isinstance(value, str):
        return None
    if not -_LONG <= value < _LONG:
        raise DecodeError(f"{name} is {value!r:.80}, which is longer than 64 bits")
    return int(value)


def magnitude(flux: float) -> float:
    """AB magnitude of a flux above 0 [nJy]."""
    return AB_OF_NJY - 2.5 * math.log10(flux)


def magnitudes(
    flux: float | None, error: float | None
) -> tuple[float | None, float | None, float | None]:
    """Magnitude of the absolute value of a flux, its error, and the limiting magnitude.

    A flux within the noise (`DETECTED_SIGMA`) has no magnitude.

    Parameters
    ----------
    flux, error
        PSF flux and its 1-sigma error [nJy].
    """
    if error is None or error <= 0:
        return (magnitude(abs(flux)) if flux else None), None, None
    limit = magnitude(LIMIT_SIGMA * error)
    if not flux or abs(flux) < DETECTED_SIGMA * error:
        return None, None, limit
    return magnitude(abs(flux)), MAG_PER_RELATIVE_FLUX * error / abs(flux), limit


def datapoints_of(
    alert: Alert, measured: Callable[[Alert], Measurements], entry: str
) -> list[Datapoint]:
    """Datapoints of an alert that was decoded by itself.

    Parameters
    ----------
    alert
        Which alert.
    measured
        What makes its survey's datapoints, of the alert.
    entry
        What an entry of its history is, for the error.

    Raises
    ------
    DecodeError
        The history is corrupt.
    """
    try:
        return measured(alert).datapoints(0)
    except DecodeError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise DecodeError(f"{entry} of the packet is corrupt: {error}") from error


def _facts_of(columns: Columns, record: str, name: str) -> list[Any]:
    """Values of a field of each packet, as they are; None where there is none."""
    kind = columns.kind(record, name)
    if kind is None:
        return [None] * len(columns)
    if kind == "text":
        return texts_of(columns, record, name, range(len(columns)), replace=True)
    if kind == "f8":
        return list(columns.floats(record, name)[0].tolist())
    values, null = columns.integers(record, name)
    found = _listed(values, null)
    return [one if one is None else bool(one) for one in found] if kind == "bool" else found


def packets_of(columns: Columns, table: str) -> list[int]:
    """Number of the packet that each row of a table is from."""
    sizes = np.diff(columns.offsets(table))
    numbers: list[int] = np.repeat(np.arange(len(sizes)), sizes).tolist()
    return numbers


def floats_of(columns: Columns, record: str, names: Sequence[str]) -> list[float | None]:
    """Values of some numeric fields, row after row; None where there is no finite number.

    One list for all: many small ones would have to be looked at by the garbage collector.
    """
    if all(columns.kind(record, name) in {"f8", None} for name in names):
        values, null = columns.block(record, names, "f8")
        return _listed(values, null | ~np.isfinite(values))
    values = np.full((columns.rows(record), len(names)), np.nan)
    for place, name in enumerate(names):
        if columns.kind(record, name) in {"f8", "i8", "bool"}:
            values[:, place] = columns.floats(record, name)[0]
    return _listed(values, ~np.isfinite(values))


def integers_of(columns: Columns, record: str, names: Sequence[str]) -> list[int | None]:
    """Values of some integer fields, row after row; None where there is null.

    Raises
    ------
    UnfitSchema
        A field is of floats: each alert is to be looked at by itself.
    """
    if all(columns.kind(record, name) in {"i8", None} for name in names):
        return _listed(*columns.block(record, names, "i8"))
    found: list[int | None] = [None] * (columns.rows(record) * len(names))
    for place, name in enumerate(names):
        kind = columns.kind(record, name)
        if kind in {"i8", "bool"}:
            found[place :: len(names)] = _listed(*columns.integers(record, name))
        elif kind == "f8":
            raise UnfitSchema(f"{name} is an integer, and of floats")
    return found


def _listed(values: Any, missing: Bools) -> list[Any]:
    objects = values.astype(object).ravel()
    objects[missing.ravel()] = None
    found: list[Any] = objects.tolist()
    return found


def texts_of(
    columns: Columns, record: str, name: str, packets: Iterable[int], *, replace: bool = False
) -> list[str | None]:
    """Values of a text column.

    Parameters
    ----------
    columns, record, name
        Which one.
    packets
        Number of the packet that each row is from.
    replace
        Whether what is no text may be replaced.

    Raises
    ------
    DecodeError
        It is no text.
    """
    errors = "replace" if replace else "strict"
    begin, size, null = columns.spans(record, name)
    values = columns.values
    try:
        return [
            None if missing else values[packet][first:behind].decode("utf-8", errors)
            for packet, first, behind, missing in zip(
                packets, begin.tolist(), (begin + size).tolist(), null.tolist(), strict=True
            )
        ]
    except UnicodeDecodeError as error:
        raise DecodeError(f"the packet holds text that is none: {error}") from error


_FLAGS = np.array([UNKNOWN, NO, YES])
_PLACES = {None: b"\0", False: b"\1", True: b"\2"}
"""Where in `_FLAGS` a meaning is: many bytes become an array sooner than many floats."""


class _Meanings(dict[bytes, bytes]):
    """What texts mean, found once for each: there are two, mostly."""

    def __missing__(self, text: bytes) -> bytes:
        place = self[text] = _PLACES[flag(text)]
        return place


def flags_of(columns: Columns, record: str, name: str, packets: Iterable[int]) -> Floats:
    """What a column says that means yes or no, row after row, as `flag_number`.

    Parameters
    ----------
    columns, record, name
        Which one; NaN where there is none of text, numbers or truth values.
    packets
        Number of the packet that each row is from.
    """
    kind = columns.kind(record, name)
    if kind in {"bool", "i8", "f8"}:
        values, null = columns.floats(record, name)
        return np.where(null | ~np.isin(values, (YES, NO)), UNKNOWN, values)
    if kind != "text":
        return np.full(columns.rows(record), UNKNOWN)
    begin, size, _ = columns.spans(record, name)  # null is empty, which says nothing, too
    texts, meanings = columns.values, _Meanings()
    cut = zip(packets, begin.tolist(), (begin + size).tolist(), strict=True)
    places = b"".join([meanings[texts[packet][first:behind]] for packet, first, behind in cut])
    found: Floats = _FLAGS[np.frombuffer(places, np.uint8)]
    return found


def on_sky(ra: Any, dec: Any) -> Any:
    """Whether ra and dec [deg] are a position: of numbers a truth value, of columns a column."""
    return (ra >= 0.0) & (ra <= 360.0) & (dec >= -90.0) & (dec <= 90.0)  # noqa: PLR2004  (degrees)
