"""Rows of catalogues near an object: hosts, known stars, earlier transients."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ampelstream.errors import CatalogError, UnitError
from ampelstream.model.fieldtypes import ANY, FieldType, record, type_of
from ampelstream.model.lightcurve import LightCurve
from ampelstream.sky.catalogs import Catalog, CatalogStore
from ampelstream.units import Inputs, ObjectUnit, Resources

__all__ = ["CatalogMatch", "CatalogRow", "Search"]

_DISTANCE = "dist2transient"
_log = logging.getLogger(__name__)


class Search(BaseModel):
    """One search around each object.

    Attributes
    ----------
    catalog
        Name of the catalogue on disk; the search's own label where None.
    radius_arcsec
        Radius of the cone [arcsec], inclusive.
    all
        Whether every row in the cone is wanted, rather than the nearest.
    columns
        Columns of the rows that are wanted; all where None.
    where
        Ranges that the row must be in, by column of the catalogue: (least, most), inclusive, null
        for no bound; a row without a value is not in any range.
    optional
        Whether the catalogue may be absent: the label then never matches.
    rename
        Names that columns get in the result, by column of the catalogue.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalog: str | None = None
    radius_arcsec: float = Field(gt=0.0, le=36000.0)
    all: bool = False
    columns: tuple[str, ...] | None = None
    where: dict[str, tuple[float | None, float | None]] = Field(default_factory=dict)
    optional: bool = False
    rename: dict[str, str] = Field(default_factory=dict)


class CatalogRow(msgspec.Struct, frozen=True):
    """A row of a catalogue near an object; beside this it has the columns that were asked for.

    Attributes
    ----------
    dist2transient
        Its separation from the object [arcsec].
    """

    dist2transient: float


class CatalogMatch(ObjectUnit):
    """The nearest row (or all rows) of each catalogue around an object.

    The result has one key per label: None, or the row's columns and ``dist2transient``, its
    separation from the object [arcsec]; a list of those, nearest first, where ``all`` is set.
    Units of the columns are the catalogue's own.

    Attributes
    ----------
    catalogs
        The searches, by label.
    position
        What is searched around: the position of the object, at which it is matched and shown, or
        that of its first detection, as AMPEL does.
    """

    provides: ClassVar[str] = "catalogs"
    version: ClassVar[str] = "2"
    result: ClassVar[Any] = Mapping[str, CatalogRow | None]

    catalogs: dict[str, Search] = Field(min_length=1)
    position: Literal["object", "first"] = "object"

    _open: dict[str, "_Plan | None"] = PrivateAttr(default_factory=dict)

    def open(self, resources: Resources) -> None:
        """Open the catalogues.

        Raises
        ------
        CatalogError
            One that is not optional is absent, or one lacks a column that is asked for.
        """
        for label, search in self.catalogs.items():
            name = search.catalog or label
            if search.optional and name not in resources.catalogs:
                _log.warning(
                    "no catalogue %s in %s: %s is left out, no object will match it. To make it: "
                    "ampelstream catalogs add %s TABLE --root %s",
                    name,
                    resources.catalogs.root,
                    label,
                    name,
                    resources.catalogs.root,
                )
                self._open[label] = None
            else:
                self._open[label] = _Plan(label, search, resources.catalogs)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Labels whose optional catalogue is absent."""
        return tuple(label for label, plan in self._open.items() if plan is None)

    def reads(self) -> Mapping[str, str | None]:
        """Versions of the catalogues, by label."""
        return {
            label: None if plan is None else plan.catalog.version
            for label, plan in self._open.items()
        }

    def result_fields(self) -> FieldType:
        """Labels, and behind each the columns of a row where they are known."""
        return record({label: self._row_fields(label) for label in self.catalogs})

    def _row_fields(self, label: str) -> FieldType:
        search, plan = self.catalogs[label], self._open.get(label)
        if search.all:
            return FieldType("list", nullable=True, of=ANY)
        columns = search.columns if plan is None else plan.columns
        names = [search.rename.get(one, one) for one in columns or ()]
        fields = dict.fromkeys(names, ANY) | dict(type_of(CatalogRow).fields)
        return FieldType(
            "record", nullable=True, of=ANY if columns is None else None, fields=fields
        )

    def compute(self, inputs: Inputs) -> Mapping[str, Any]:
        """Search each catalogue around the object.

        Raises
        ------
        UnitError
            No detection has a position, or the unit was not opened.
        """
        if not self._open:
            raise UnitError("CatalogMatch was not opened, so that it has no catalogues")
        ra, dec = self._position(inputs.lightcurve)
        return {
            label: None if plan is None else plan.matches(ra, dec)
            for label, plan in self._open.items()
        }

    def _position(self, lightcurve: LightCurve) -> tuple[float, float]:
        place = lightcurve.position
        if self.position == "first":
            place = next(iter(lightcurve.places()), None)
        if place is not None:
            return place
        raise UnitError(f"no detection of {lightcurve.object_id} has a position")


class _Plan:
    """A search with its catalogue open and its columns worked out."""

    def __init__(self, label: str, search: Search, store: CatalogStore) -> None:
        self.catalog: Catalog = store.open(search.catalog or label)
        self._search = search
        kept = self.catalog.columns if search.columns is None else search.columns
        try:
            self.catalog.require((*kept, *search.where, *search.rename))
        except CatalogError as error:
            raise CatalogError(f"search {label}: {error}") from error
        self._names = {one: search.rename.get(one, one) for one in kept}
        results = [*self._names.values(), _DISTANCE]
        twice = sorted({one for one in results if results.count(one) > 1})
        if twice:
            raise CatalogError(
                f"search {label} in catalogue {self.catalog.name} gives more than one "
                f"{', '.join(twice)}; choose other names or fewer columns"
            )
        self._read = list(dict.fromkeys((*kept, *search.where)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the catalogue that a row has."""
        return tuple(self._names)

    def matches(self, ra: float, dec: float) -> dict[str, Any] | list[dict[str, Any]] | None:
        """Nearest row, or all rows, around a position [deg]; None where there is none."""
        rows: list[dict[str, Any]] = []
        for match in self.catalog.cone(ra, dec, self._search.radius_arcsec, self._read):
            if all(_inside(match.row[one], *ends) for one, ends in self._search.where.items()):
                row = {new: match.row[old] for old, new in self._names.items()}
                row[_DISTANCE] = match.separation_arcsec
                if not self._search.all:
                    return row
                rows.append(row)
        return rows or None


def _inside(value: Any, least: float | None, most: float | None) -> bool:
    """Whether a value is a number within least <= value <= most."""
    if not isinstance(value, int | float):
        return False
    return (least is None or value >= least) and (most is None or value <= most)
