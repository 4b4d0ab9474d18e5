"""Libraries say the same thing many times a second while a broker is away; once is enough."""

import logging
import time
from collections.abc import Callable

__all__ = ["RepeatFilter"]

_LIBRARIES = ("aiokafka", "asyncio", "faust", "kafka", "mode")
_SERVICES = "ampelstream.runtime.faust"
_KEPT = 500


class RepeatFilter(logging.Filter):
    """Passes a message of a library once in a while, with the number of its repetitions.

    Our own messages pass, but for what Faust's services say of themselves under the names of our
    modules: that is passed as a library's, and only from warnings on.

    Parameters
    ----------
    seconds
        How long the same message is held back [s]. The same: of one logger, with one template.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, seconds: float = 30.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message passes."""
        if record.name.startswith(_SERVICES) and str(record.msg).startswith("[^"):
            if record.levelno < logging.WARNING:
                return False
        elif record.name.split(".", 1)[0] not in _LIBRARIES:
            return True
        key = (record.name, str(record.msg)[:60])
        now = self._clock()
        last, held = self._passed.get(key, (-self._seconds, 0))
        if now - last < self._seconds:
            self._passed[key] = (last, held + 1)
            return False
        if len(self._passed) >= _KEPT:
            self._passed.clear()
        self._passed[key] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} times more)"
        return True
