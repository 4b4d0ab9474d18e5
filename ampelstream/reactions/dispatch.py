"""The reaction boundary: messages go to the sinks, and whatever a sink raises stays its own.

The core decides what to send (``core/react.py``) and knows a `Dispatcher` as its ``Deliverer``; the
runtimes open the sinks and hand the dispatcher over.
"""

import logging
from collections.abc import Collection, Mapping, Sequence

from ampelstream.errors import ConfigError
from ampelstream.model.reaction import Reaction
from ampelstream.reactions.sinks import Sink

__all__ = ["Dispatcher"]

_LOG = logging.getLogger(__name__)


class Dispatcher:
    """Sends each reaction to the sinks of its rule, once.

    Parameters
    ----------
    sinks
        Sinks of each rule, by the rule's name.

    Raises
    ------
    ConfigError
        Two sinks of a rule have one name: what one took would be noted for the other.
    """

    def __init__(self, sinks: Mapping[str, Sequence[Sink]]) -> None:
        for rule, known in sinks.items():
            names = [sink.name for sink in known]
            if len(set(names)) < len(names):
                raise ConfigError(
                    f"rule {rule}: two sinks have the same name ({', '.join(names)}), by which the "
                    "ledger knows what each took; give each its own"
                )
        self._sinks = sinks

    def missing(self, rule: str, sent: Collection[str]) -> list[str]:
        """Names of a rule's sinks that have not taken a reaction.

        Parameters
        ----------
        rule
            Name of the rule. One that the topology no longer has has no sinks.
        sent
            Names of the sinks that have taken it.
        """
        return [sink.name for sink in self._missing(rule, sent)]

    def deliver(self, reaction: Reaction, sent: Collection[str]) -> list[str]:
        """Send a reaction to the sinks that have not taken it.

        A sink that raises is logged and keeps nothing else back; the reaction stays open for it.

        Parameters
        ----------
        reaction
            What to send.
        sent
            Names of the sinks that have taken it.

        Returns
        -------
        list of str
            Names of the sinks that took it now.
        """
        missing = self._missing(reaction.rule, sent)
        return [sink.name for sink in missing if self._take(sink, reaction)]

    def _missing(self, rule: str, sent: Collection[str]) -> list[Sink]:
        return [sink for sink in self._sinks.get(rule, ()) if sink.name not in sent]

    @staticmethod
    def _take(sink: Sink, reaction: Reaction) -> bool:
        try:
            sink.send(reaction)
        except Exception:  # noqa: BLE001  (the reaction boundary: a sink is somebody else's code)
            _LOG.exception("reaction %s could not be sent to %s", reaction.id, sink.name)
            return False
        return True
