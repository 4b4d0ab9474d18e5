"""The best redshift that the matched catalogues give.

Groups, precisions and rules are those of AMPEL's T2DigestRedshifts (ampel-hu-astro 0.10.0a33).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from statistics import fmean
from typing import Any, ClassVar, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ampelstream.errors import UnitError
from ampelstream.units import Inputs, ObjectUnit

__all__ = ["PRECISIONS", "RULES", "DigestRedshifts", "RedshiftResult", "Rule"]

PRECISIONS = (0.0003, 0.003, 0.01, 0.02, 0.04, 0.1, 0.3)
"""Typical error of a redshift in group 1 (I) to 7 (VII)."""

_LEAST = -0.1
"""A redshift at or below it stands for "unknown" (catalogues write -99, -999, -1)."""


class Rule(BaseModel):
    """Which group a redshift belongs to; both bounds are strict.

    Attributes
    ----------
    label
        Label of the match.
    column
        Column of the redshift.
    group
        Group, 1 (best) to 7.
    below_z
        Only redshifts < below_z.
    within_arcsec
        Only matches with separation < within_arcsec [arcsec].
    scale
        What the column is multiplied by to be a redshift.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    column: str
    group: int = Field(ge=1, le=7)
    below_z: float = inf
    within_arcsec: float = inf
    scale: float = 1.0


def _rules(label: str, column: str, *rows: tuple[int, float, float]) -> tuple[Rule, ...]:
    return tuple(
        Rule(label=label, column=column, group=group, below_z=below, within_arcsec=within)
        for group, below, within in rows
    )


def _in_thousandths(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(rule.model_copy(update={"scale": 1e-3}) for rule in rules)


_PHOTOMETRIC = ((4, 0.1, inf), (5, 0.2, inf), (6, 0.4, inf), (7, inf, inf))

RULES: tuple[Rule, ...] = (
    # group, z below, within [arcsec]
    *_rules("NEDz_extcats", "z", (1, 0.03, 2.0), (3, 0.05, 20.0), (4, inf, inf)),
    *_rules("SDSS_spec", "z", (2, inf, 10.0)),
    *_rules("GLADEv23", "z", (3, 0.05, 10.0), (4, inf, 10.0)),
    *_rules("GLADE+", "z_best", (3, 0.05, 10.0), (4, inf, 10.0)),
    *_rules("LSPhotoZZou", "specz", (2, 0.15, 10.0), (3, 0.2, inf), (5, inf, inf)),
    *_rules("LSPhotoZZou", "photoz", *_PHOTOMETRIC),
    *_rules("wiseScosPhotoz", "zPhoto_Corr", (5, 0.2, inf), (6, inf, inf)),
    *_rules("twoMPZ", "zPhoto", (3, 0.03, inf), (4, inf, inf)),
    *_rules("twoMPZ", "zSpec", (2, inf, inf)),
    *_in_thousandths(_rules("PS1_photoz", "z_phot", *_PHOTOMETRIC)),
    *_rules("NEDz", "z", (3, 0.4, 10.0)),
)
"""For a label and column the first rule that fits gives the group; none: the match is not used.

The GLADE+ rows are ours: what AMPEL does with GLADE 2.3, with the column of the newer catalogue.
"""


class RedshiftResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The groups, and what the best populated one gives; the latter is absent where there is none.

    Attributes
    ----------
    group_zs, group_dists
        Redshifts and separations [arcsec] of groups I to VII, seven lists each.
    ampel_z
        Mean redshift of the best group.
    ampel_z_group, group_z_precision
        Number of that group, and the typical error of its redshifts.
    ampel_dist
        Mean separation of the object from that group's matches [arcsec].
    ampel_z_catalogs
        Labels of the catalogues in that group.
    """

    group_zs: list[list[float]]
    group_dists: list[list[float]]
    ampel_z: float | None = None
    ampel_z_group: int | None = None
    group_z_precision: float | None = None
    ampel_dist: float | None = None
    ampel_z_catalogs: list[str] | None = None


class DigestRedshifts(ObjectUnit):
    """Redshift of an object from its catalogue matches.

    Every redshift is put into one of seven groups by its catalogue, size and separation. The best
    populated group counts.

    Redshifts are used as the catalogue gives them (GLADE+: ``z_best``), in no common frame.

    Attributes
    ----------
    max_redshift_category
        Groups behind it are reported, but do not give ``ampel_z``.
    redshift_columns
        Other names of the rules' columns, by label: ``{GLADEv23: {z: z_helio}}``.
    more_rules
        Rules for further labels; they are tried before AMPEL's.
    """

    provides: ClassVar[str] = "redshift"
    needs: ClassVar[tuple[str, ...]] = ("catalogs",)

    max_redshift_category: int = Field(default=6, ge=1, le=7)
    redshift_columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    more_rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        known = {(rule.label, rule.column) for rule in (*self.more_rules, *RULES)}
        for label, renamed in self.redshift_columns.items():
            for column in renamed:
                if (label, column) not in known:
                    listing = ", ".join(f"{one}: {other}" for one, other in sorted(known))
                    raise ValueError(
                        f"redshift_columns: no rule for {label}: {column}; there are {listing}"
                    )
        return self

    def compute(self, inputs: Inputs) -> RedshiftResult:
        """Sort the redshifts into groups and average the best one.

        Raises
        ------
        UnitError
            There is no catalogue match, or a match says not how far away it is.
        """
        bodies = [one.body for one in inputs.dependencies if one.provides == "catalogs"]
        if not bodies:
            raise UnitError("no catalogue match to take a redshift from")
        groups: list[list[tuple[float, float, str]]] = [[] for _ in PRECISIONS]
        for body in bodies:
            for label, row in _matches(body):
                for number, redshift, apart in self._sorted(label, row):
                    groups[number - 1].append((redshift, apart, label))
        result = RedshiftResult(
            group_zs=[[redshift for redshift, _, _ in group] for group in groups],
            group_dists=[[apart for _, apart, _ in group] for group in groups],
        )
        for number, group in enumerate(groups[: self.max_redshift_category], start=1):
            if group:
                redshifts, separations, labels = zip(*group, strict=True)
                return msgspec.structs.replace(
                    result,
                    ampel_z=fmean(redshifts),
                    ampel_z_group=number,
                    group_z_precision=PRECISIONS[number - 1],
                    ampel_dist=fmean(separations),
                    ampel_z_catalogs=sorted(set(labels)),
                )
        return result

    def _sorted(self, label: str, row: Mapping[str, Any]) -> Iterator[tuple[int, float, float]]:
        """Group, redshift and separation [arcsec] of each redshift of a match."""
        renamed = self.redshift_columns.get(label, {})
        done: set[str] = set()
        for rule in (*self.more_rules, *RULES):
            if rule.label != label or rule.column in done:
                continue
            redshift = _redshift(row.get(renamed.get(rule.column, rule.column)), rule.scale)
            if redshift is None:
                continue
            apart = row.get("dist2transient")
            if apart is None:
                raise UnitError(f"the match of {label} has no dist2transient [arcsec]")
            if redshift < rule.below_z and apart < rule.within_arcsec:
                done.add(rule.column)
                yield rule.group, redshift, apart


def _matches(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Label and row of each match; a label has None, one row or a list of them."""
    for label, found in body.items():
        if isinstance(found, Mapping):
            yield label, found
        elif found:
            yield from ((label, row) for row in found)


def _redshift(value: Any, scale: float) -> float | None:
    """A redshift, or None where the value is none (absent, text, nan, -99)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    redshift = value * scale
    return redshift if isfinite(redshift) and redshift > _LEAST else None
