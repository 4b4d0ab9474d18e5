"""Positions given on the command line or in a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ampelstream.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from ampelstream.sky.crossmatch import Position

__all__ = ["parse_position", "read_positions"]

_WITHOUT_DISTANCE, _WITH_DISTANCE = 2, 3
_POLE = 90.0


def _fault(ra: float, dec: float, distance: float | None) -> str:
    """What is wrong with a position; empty where nothing is."""
    if not abs(ra) < float("inf") or not abs(dec) <= _POLE:
        return f"ra={ra}, dec={dec} is no position on the sky: give degrees, |dec| <= 90"
    if distance is not None and not 0 < distance < float("inf"):
        return f"the distance {distance} Mpc is not positive"
    return ""


def parse_position(text: str) -> "Position":
    """Parse ``RA,DEC`` or ``RA,DEC,DISTANCE_MPC``.

    Raises
    ------
    typer.BadParameter
        It is neither, or no place in the universe.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in {_WITHOUT_DISTANCE, _WITH_DISTANCE}:
        raise typer.BadParameter(
            f"{text!r} is not RA,DEC or RA,DEC,DISTANCE_MPC (degrees and Mpc, no spaces)"
        )
    ra, dec = numbers[:2]
    distance = numbers[2] if len(numbers) == _WITH_DISTANCE else None
    fault = _fault(ra, dec, distance)
    if fault:
        raise typer.BadParameter(fault)
    return ra, dec, distance


def read_positions(path: Path) -> list["Position"]:
    """Read positions from a file of JSON lines.

    A line has ``ra_deg`` and ``dec_deg`` (or ``ra`` and ``dec``) and may have ``distance_mpc``;
    whatever else it has is left alone. Empty lines are skipped.

    Raises
    ------
    SourceError
        The file cannot be read.
    ConfigError
        A line is not like that.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"positions {path} cannot be read: {error}") from error
    return [
        _position(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()
    ]


def _position(line: str, where: str) -> "Position":
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON ({error}); give one object per line") from error
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: not a JSON object; give ra_deg and dec_deg")
    ra, dec = (_number(row, key, where) for key in ("ra", "dec"))
    if ra is None or dec is None:
        raise ConfigError(f"{where}: ra_deg or dec_deg is missing")
    distance = _number(row, "distance_mpc", where)
    fault = _fault(ra, dec, distance)
    if fault:
        raise ConfigError(f"{where}: {fault}")
    return ra, dec, distance


def _number(row: dict[str, Any], key: str, where: str) -> float | None:
    """Number of that key, or of the key with its unit; None without one."""
    value = row.get(f"{key}_deg", row.get(key))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: {key} is {value!r}, not a number")
    return float(value)
