"""What is wrong in a module of a user's own, with its file and line."""

import os
import re
import traceback

from pydantic import PydanticUserError, ValidationError

__all__ = ["FAULTS", "blamed"]

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    PydanticUserError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What is raised by a mistake in somebody's code while it is imported, configured or opened."""

_CLASS = {
    "model-field-missing-annotation": "a key of the configuration has no type: write it as in "
    "`limit: float = 1.0`, or as `ClassVar` where it is none",
    "schema-for-unknown-type": "a key of the configuration has a type that cannot be checked: use "
    "numbers, text, lists, dictionaries or models of pydantic",
}
"""What is wrong with a class, by pydantic's code for it."""


def blamed(error: BaseException) -> str:
    """What was raised, and where: the last line of the module that was called.

    Of the files through which an error came those count that lie in the directory of the first,
    which is the user's; a library that it calls lies elsewhere.
    """
    place, said = _place(error), _said(error)
    return f"{place}: {said}" if place else said


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not _ours(frame.filename)
    ]
    if not frames:
        return ""
    home = os.path.dirname(frames[0][0])  # noqa: PTH120  (no file is opened: it is text)
    file, line = [one for one in frames if one[0].startswith(home)][-1]
    return f"{file}:{line}"


_HERE = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120  (no file is opened: it is text)


def _ours(file: str) -> bool:
    return file.startswith(_HERE) or f"{os.sep}importlib{os.sep}" in file


def _said(error: BaseException) -> str:
    """Message of an error, without a library's own words where there are ours."""
    if isinstance(error, PydanticUserError):
        words = _CLASS.get(
            error.code or "", "the class of the unit is not one that can be configured"
        )
        quoted = re.search(r"`([^`\n]+)`", error.message)
        return f"{words} ({quoted[1]})" if quoted else words
    if isinstance(error, ValidationError):
        return "a value that the module makes is not valid"
    if isinstance(error, SyntaxError):
        return f"this is not Python ({error.msg})"
    return f"{type(error).__name__}: {str(error) or 'no message'}"
