"""Where in a file its keys and values stand, so that a message can name the line."""

from collections.abc import Sequence
from pathlib import Path

import yaml

__all__ = ["Places"]


class Places:
    """Lines of a YAML file.

    Parameters
    ----------
    file
        Its path, as messages name it.
    root
        The document with its lines; None for an empty one.
    """

    def __init__(self, file: Path, root: yaml.Node | None) -> None:
        self.file = file
        self._root = root

    def line(self, path: Sequence[str | int]) -> int:
        """Line of the key at that path, or of the last part of the path that is there."""
        line, node = 1, self._root
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == str(part)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def at(self, path: Sequence[str | int]) -> str:
        """File, line and key, as a message begins."""
        return f"{self.file}:{self.line(path)}: {'.'.join(map(str, path)) or 'the file'}"
