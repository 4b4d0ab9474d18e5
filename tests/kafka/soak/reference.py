"""What an undisturbed run of the same stream gives."""

from pathlib import Path

from ampelstream.model.candidate import Candidate
from ampelstream.runtime.embedded.engine import Engine
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.state.memory import MemoryBackend
from ampelstream.topology import build, load
from ampelstream.units import Resources
from tests.kafka.soak.packets import Stream

__all__ = ["undisturbed"]


def undisturbed(stream: Stream, topology: Path) -> list[Candidate]:
    """Final candidates of the embedded engine, sorted by their key.

    The stream's poison must not be lethal: what it does to workers would be done to this process.
    """
    built = build(load(topology), Resources(catalogs=CatalogStore(topology.parent / "catalogs")))
    engine = Engine(built, MemoryBackend())
    due = stream.notices()
    for number in range(1, stream.packets + 1):
        engine.process([stream.record(number)])
        while due and due[0][0] <= number:
            engine.process([due.pop(0)[1]])
    engine.commit()
    return engine.objects.candidates()
