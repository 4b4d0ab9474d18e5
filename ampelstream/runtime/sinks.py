"""From the sinks that a topology names to sinks that are open."""

import sys
from collections.abc import Mapping
from pathlib import Path

from ampelstream.reactions.sinks import ConsoleSink, FileSink, Sink
from ampelstream.topology import Topology

__all__ = ["open_sinks"]


def open_sinks(topology: Topology, directory: Path) -> Mapping[str, list[Sink]]:
    """Open the sinks of each rule.

    Parameters
    ----------
    topology
        Names them.
    directory
        Where a relative file name is taken from.

    Returns
    -------
    mapping
        Rule name to sinks. Rules that name the same file share it.
    """
    files: dict[Path, FileSink] = {}
    opened: dict[str, list[Sink]] = {}
    for rule in topology.reactions:
        sinks: list[Sink] = []
        for spec in rule.sinks:
            if spec.file is None:
                sinks.append(ConsoleSink(sys.stderr))
                continue
            path = directory / spec.file
            if path not in files:
                files[path] = FileSink(path)
            sinks.append(files[path])
        opened[rule.name] = sinks
    return opened
