"""Names of objects and events: keys of the state and of topics, shown to people."""

from ampelstream.errors import DecodeError

__all__ = ["NAME_LIMIT", "checked_name"]

NAME_LIMIT = 256
"""No survey or observatory uses names of more than 40 characters; a longer one is garbage."""


def checked_name(name: object, what: str) -> str:
    """Give the name, if it can be one: 1 to 256 printable characters.

    Control characters, line breaks, lone surrogates and marks that turn the direction of writing
    are not printable.

    Parameters
    ----------
    name
        As the packet or notice has it.
    what
        The field, for the message.

    Raises
    ------
    DecodeError
        It cannot be a name.
    """
    if isinstance(name, str) and 0 < len(name) <= NAME_LIMIT and name.isprintable():
        return name
    if isinstance(name, str) and len(name) > NAME_LIMIT:
        raise DecodeError(
            f"{what} is {len(name)} characters long; a name has at most {NAME_LIMIT}: {name!a:.60}"
        )
    raise DecodeError(f"{what} is {name!a:.80}, not a name (printable characters, at least one)")
