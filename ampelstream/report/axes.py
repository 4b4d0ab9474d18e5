"""Round numbers for the ticks of an axis."""

import itertools
import math
from collections.abc import Sequence

__all__ = ["decimals", "round_step", "ticks"]

_ROUND = (1.0, 2.0, 5.0, 10.0)


def round_step(span: float, count: int) -> float:
    """Step of 1, 2 or 5 times a power of ten that cuts ``span`` into at most ``count`` parts."""
    if not span > 0:
        raise ValueError(f"an axis must have a length, not {span}")
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next((part * power for part in _ROUND if part * power >= rough * (1 - 1e-9)), 10 * power)


def ticks(low: float, high: float, count: int = 6) -> Sequence[float]:
    """Multiples of a round step from ``low`` to ``high``, both included where they are ticks."""
    step = round_step(high - low, count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def decimals(values: Sequence[float]) -> int:
    """Decimal places that tell neighbouring ticks apart."""
    step = min((b - a for a, b in itertools.pairwise(values)), default=1.0)
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
