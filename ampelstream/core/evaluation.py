"""Evaluations that go on side by side while heavy units compute elsewhere.

An evaluation is a generator. It stops where it waits for a computation that goes on in another
process (it yields the computation), is resumed when that is done, and returns its result. All
evaluations run in the one thread of their processor, one at a time: units that are not heavy need
not know of threads, and what an evaluation reads and writes of the store it does alone. Where no
unit is heavy no evaluation ever stops, and they run one after the other.
"""

from collections.abc import Generator, Iterable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

from ampelstream.topology import Computation

__all__ = ["ALONE", "Evaluation", "Task", "finished", "nothing", "side_by_side"]

T = TypeVar("T")
Evaluation = Generator[Computation, None, T]
"""Yields what it waits for; returns its result."""
Task = tuple[str, Evaluation[T]]
"""A key, and an evaluation. Those of one key (an object) run one after the other."""

ALONE = ""
"""Key of an evaluation beside which no other may go on."""


def finished(evaluation: Evaluation[T]) -> T:
    """Run an evaluation to its end, waiting wherever it waits."""
    while True:
        try:
            next(evaluation)  # what it waits for, it waits for when it is resumed
        except StopIteration as end:
            result: T = end.value
            return result


def nothing(result: T) -> Evaluation[T]:
    """Give an evaluation that has its result already."""
    return result
    yield  # (makes it a generator)


def side_by_side(tasks: Iterable[Task[T]], at_once: int) -> Iterator[T]:
    """Run evaluations, several at the same time; give their results in the order of the tasks.

    Parameters
    ----------
    tasks
        Each is asked for when there is room for it.
    at_once
        How many go on at the same time at the most.
    """
    if at_once == 1:
        for _, evaluation in tasks:
            yield finished(evaluation)
        return
    crowd: _Crowd[T] = _Crowd(at_once)
    for key, evaluation in tasks:
        crowd.begin(key, evaluation)
        yield from crowd.in_order()
        crowd.make_room()
        yield from crowd.in_order()
    crowd.wait(0)
    yield from crowd.in_order()


class _Crowd(Generic[T]):
    """Evaluations that go on, and results whose turn has not come yet."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._going: dict[int, Task[T]] = {}
        self._results: dict[int, T] = {}
        self._begun = self._given = 0
        self._done: SimpleQueue[int] = SimpleQueue()  # filled from other threads

    def begin(self, key: str, evaluation: Evaluation[T]) -> None:
        """Run it up to where it first waits, when those it must not go beside have ended."""
        while self._going and (key == ALONE or any(one == key for one, _ in self._going.values())):
            self._resume(self._done.get())
        number = self._begun
        self._begun += 1
        self._going[number] = (key, evaluation)
        self._resume(number)

    def make_room(self) -> None:
        """Wait until another may begin."""
        alone = any(key == ALONE for key, _ in self._going.values())
        self.wait(0 if alone else self._at_once - 1)

    def wait(self, most: int) -> None:
        """Wait until no more than so many go on."""
        while len(self._going) > most:
            self._resume(self._done.get())

    def in_order(self) -> Iterator[T]:
        """Give the results whose turn has come."""
        while self._given in self._results:
            yield self._results.pop(self._given)
            self._given += 1

    def _resume(self, number: int) -> None:
        try:
            computation = next(self._going[number][1])
        except StopIteration as end:
            del self._going[number]
            self._results[number] = end.value
        else:
            computation.add_done_callback(lambda _: self._done.put(number))
