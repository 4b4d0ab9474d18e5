"""Yes or no as surveys spell it: ZTF's ``isdiffpos`` is a text, a number or a truth value.

Packets say t and f, older ones 1 and 0; tables that were made of them say true and false, as truth
values or as texts, or 1.0 and 0.0 where a column has gaps. Whoever asks (a filter, a light curve, a
report) asks here, so that all understand the same.
"""

from typing import Any

__all__ = ["NO", "UNKNOWN", "YES", "flag", "flag_number"]

YES, NO, UNKNOWN = 1.0, 0.0, float("nan")

_SPELLINGS = {
    **dict.fromkeys(("t", "true", "1", "1.0", "y", "yes"), True),
    **dict.fromkeys(("f", "false", "0", "0.0", "n", "no"), False),
}


def flag(value: Any) -> bool | None:
    """What a value says; None where it is missing, null, NaN, or says neither."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _SPELLINGS.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float) and value in {0, 1} else None


def flag_number(value: Any) -> float:
    """The same as a number: `YES`, `NO`, or `UNKNOWN`, which is NaN."""
    said = flag(value)
    return UNKNOWN if said is None else YES if said else NO
