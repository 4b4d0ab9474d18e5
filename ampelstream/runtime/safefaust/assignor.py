"""Faust's assignor for workers that come back under another address.

A static member that returns within the session time gets its old assignment from the broker, which
holds the address that it had then. faust-streaming 0.15.3 asserts that it is the present one
(``assignor/partition_assignor.py:144``); the failed assertion ends aiokafka's coordinator task, and
the worker hangs in a rebalance without end.
"""

from typing import Any, cast

from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from yarl import URL

__all__ = ["SafeAssignor"]


class SafeAssignor(PartitionAssignor):
    """An assignor that takes back an assignment under its former address."""

    _former: URL | None = None

    @property
    def _url(self) -> URL:
        return self._former or self.app.conf.canonical_url

    def on_assignment(self, assignment: Any) -> None:
        """Take an assignment."""
        sent = cast("ClientMetadata", ClientMetadata.loads(self._decompress(assignment.user_data)))
        self._former = URL(sent.url)
        try:
            super().on_assignment(assignment)
        finally:
            self._former = None
