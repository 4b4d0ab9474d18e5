"""Arguments that begin with a minus sign: negative numbers are no options."""

import re
from typing import Any

from typer.core import TyperCommand

__all__ = ["TakesNegative"]

_NEGATIVE = re.compile(r"-\.?\d")


class TakesNegative(TyperCommand):
    """A command with positions among its arguments, such as ``-0:30:00,5``.

    The value of an option may begin with ``-`` in any command; an argument would be taken for an
    option that is not known.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let what begins like a negative number pass as an argument."""
        # no option begins with a digit, so nothing that is known is hidden by this
        ctx.ignore_unknown_options = any(_NEGATIVE.match(word) for word in args)
        rest: list[str] = super().parse_args(ctx, args)
        return rest
