"""How long to wait before something that failed is tried again."""

__all__ = ["Backoff"]


class Backoff:
    """Waits that double with each failure, and begin anew after a success that lasted.

    Parameters
    ----------
    first, longest
        First wait and upper limit of the waits [s].
    settled
        What lives so long counts as a success [s].
    """

    def __init__(self, first: float = 1.0, longest: float = 30.0, settled: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self._settled = settled
        self._next = first

    def after(self, lived: float) -> float:
        """Wait before the next try [s], after one that lived so long [s]."""
        if lived >= self._settled:
            self._next = self._first
        wait = self._next
        self._next = min(2 * wait, self._longest)
        return wait
