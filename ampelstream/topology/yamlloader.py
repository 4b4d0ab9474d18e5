"""YAML read with bounds: what a file may ask of us does not depend on who wrote it.

A few lines of aliases that name each other stand for billions of values, an alias of itself for a
file without end, and each bracket costs the parser a level of its own calls. All three are refused
while the file is read, with the line at which it becomes too much.
"""

from pathlib import Path
from typing import Any

import yaml

from ampelstream.errors import ConfigError

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "MAX_VALUES", "read_yaml"]

MAX_DEPTH = 50
"""How deep values may lie in each other; no file of ours comes to ten."""
MAX_VALUES = 100_000
"""How many keys and values a file may stand for, each alias counted as what it names."""
MAX_LENGTH = 5_000_000
"""How long a file may be [characters]; the parser reads about a million in a second."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What PyYAML raises on a value that looks like a date or a number and is none."""
_VALUE = (
    "this value cannot be read: it looks like a date, a number or what its tag says, and is none; "
    "correct it, or put it into quotes where it is text"
)
_STRANGE = (
    "this does not follow from what is above it; look at indentation, quotes and brackets, here "
    "and in the line before"
)
_MISTAKES = {
    "mapping values are not allowed": "a key cannot stand here: indent the line as those beside "
    "it, or put text that holds a colon and a space into quotes",
    "could not find expected ':'": "there is no colon and space behind a key; or a quote or "
    "bracket is not closed",
    "expected <block end>": "this does not fit to what is above it: indent it as the lines that it "
    "belongs to, and close quotes and brackets",
    "expected ','": "a comma is missing, or a bracket is not closed",
    "found unexpected end of stream": "a quote is not closed",
    "cannot start any token": "no value begins with this character: indent with spaces, not with "
    "tabs, and put such text into quotes",
    "undefined alias": "*name stands for &name, which is nowhere above",
    "single document": "a second document begins here (---), and a file is one",
    "unhashable key": "a key is a text or a number, no list and no mapping",
    "special characters are not allowed": "this control character may not be in YAML",
    "unknown escape character": "no such escape exists: double the backslash, or use single quotes",
    "duplicate anchor": "this name (&name) is given a second time: choose another",
    "expected a mapping": "what is merged here is no mapping, and no list of mappings",
    "expected chomping or indentation": "behind | or > nothing may stand but +, - or a digit",
    "could not determine a constructor": "this tag (!name) is not known; leave it out",
}
"""What PyYAML says, in part, and what we say."""


class _Loader(yaml.SafeLoader):
    """A safe loader that counts.

    Parameters
    ----------
    text, file
        The content, and its path, for messages.
    """

    def __init__(self, text: str, file: Path) -> None:
        super().__init__(text)
        self._file = file
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}
        """How many values each node stands for, by identity; only of nodes that are complete."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Read a value, whether it stands here or an alias names it.

        Raises
        ------
        ConfigError
            It holds itself, or it is too much.
        """
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # (PyYAML has no types)
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise ConfigError(f"{self._file}:{line}: *{event.anchor} stands within itself")
            self._count(self._sizes[id(node)], line)
            return node
        before = self._values
        self._count(1, line)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"{self._file}:{line}: values lie more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._values - before
        return node

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise ConfigError(
                f"{self._file}:{line}: up to here the file stands for more than {MAX_VALUES} "
                "values, each alias (*name) counted as what it names; write less, or use fewer "
                "aliases"
            )

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  (PyYAML's own signature)
        """Make the value of a node; one that cannot be read is an error with its position."""
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE as error:
            raise yaml.constructor.ConstructorError(None, None, _VALUE, node.start_mark) from error


def read_yaml(text: str, file: Path, *, quote: bool = True) -> tuple[yaml.Node | None, Any]:
    """Read a file's text.

    Parameters
    ----------
    text
        Its content.
    file
        Its path, for messages.
    quote
        Whether messages may repeat values; not where they may be secrets.

    Returns
    -------
    node
        The document with its lines; None for an empty one.
    content
        What it says.

    Raises
    ------
    ConfigError
        It is not YAML, holds itself, or is too much.
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"{file} has {len(text)} characters, and may have {MAX_LENGTH}: is it the right file?"
        )
    try:
        loader = _Loader(text, file)
        try:
            node = loader.get_single_node()
            return node, None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except ConfigError:
        raise
    except _UNREADABLE as error:  # such as an escape that names no character
        raise ConfigError(
            f"{file}:{loader.line + 1}: not valid YAML: an escape or a number here is too large"
        ) from error
    except yaml.YAMLError as error:
        line, column = _place(error, text)
        if quote:
            said = f"{file}:{line}:{column}: not valid YAML: {_in_words(error)}"
            raise ConfigError(said) from error
        raise ConfigError(f"{file}:{line}: not valid YAML") from None


def _place(error: yaml.YAMLError, text: str) -> tuple[int, int]:
    """Line and column at which reading failed, counted from 1."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return mark.line + 1, mark.column + 1
    before = text[: getattr(error, "position", 0)]  # of a character that may not be in YAML
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _in_words(error: yaml.YAMLError) -> str:
    """What is wrong, and what to do; where the part begins that is wrong, if that is above."""
    problem = str(getattr(error, "problem", None) or error)
    if problem == _VALUE:
        return problem
    said = f"{getattr(error, 'context', None)} {problem}"
    words = next((ours for theirs, ours in _MISTAKES.items() if theirs in said), _STRANGE)
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None or context is None or context.line == mark.line:
        return words
    return f"{words} (it belongs to what begins in line {context.line + 1})"
