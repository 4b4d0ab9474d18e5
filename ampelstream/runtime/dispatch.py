"""The reaction boundary: what the ledger holds goes to the sinks, and what was taken is noted."""

import logging
from collections.abc import Mapping, Sequence

from ampelstream.core.react import LedgerEntry, ReactionLedger
from ampelstream.reactions.sinks import Sink

__all__ = ["Dispatcher"]

_LOG = logging.getLogger(__name__)


class Dispatcher:
    """Sends each reaction to the sinks of its rule, once.

    Parameters
    ----------
    sinks
        Sinks of each rule, by the rule's name.
    """

    def __init__(self, sinks: Mapping[str, Sequence[Sink]]) -> None:
        self._sinks = sinks

    def unsent(self, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        """Those that a sink of their rule has not taken."""
        return [entry for entry in entries if self._missing(entry)]

    def _missing(self, entry: LedgerEntry) -> list[Sink]:
        known = self._sinks.get(entry.reaction.rule, ())
        return [sink for sink in known if sink.name not in entry.sent]

    def send(self, ledger: ReactionLedger, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        """Send what has not been sent.

        A sink that fails keeps nothing else back: its reaction stays open in the ledger and is
        tried again at the next call.

        Returns
        -------
        list of LedgerEntry
            Those that a sink has not taken.
        """
        still_open: list[LedgerEntry] = []
        for entry in entries:
            sinks = self._missing(entry)
            taken = [sink.name for sink in sinks if self._deliver(sink, entry)]
            marked = ledger.mark_sent(entry, taken) if taken else entry
            if len(taken) < len(sinks):
                still_open.append(marked)
        return still_open

    @staticmethod
    def _deliver(sink: Sink, entry: LedgerEntry) -> bool:
        try:
            sink.send(entry.reaction)
        except Exception:  # noqa: BLE001  (the reaction boundary: a sink is somebody else's code)
            _LOG.exception("reaction %s could not be sent to %s", entry.reaction.id, sink.name)
            return False
        return True
