"""Values that a file names but does not hold: passwords, client secrets, tokens."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ampelstream.errors import ConfigError

__all__ = ["Secret", "Strict", "Text"]


class Strict(BaseModel):
    """A part of a file that may hold a secret by mistake: no message repeats what it was given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Secret(Strict):
    """Where a secret is: an environment variable, or a file.

    It is read when it is needed and kept nowhere, so that nothing can print it.

    Attributes
    ----------
    env
        Name of the environment variable.
    file
        Path of a file that holds nothing else; blanks around the value are left out.
    """

    env: (
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
                description="Name of an environment variable: letters, digits, underscores.",
            ),
        ]
        | None
    ) = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if not isinstance(value, dict | Secret):
            raise ValueError(  # noqa: TRY004  (pydantic collects ValueError)
                "a secret is not written into a file like this; "
                "say {env: NAME} or {file: PATH}, where it is"
            )
        return value

    @model_validator(mode="after")
    def _one(self) -> "Secret":
        if (self.env is None) == (self.file is None):
            raise ValueError("say either {env: NAME} or {file: PATH}")
        return self

    def __str__(self) -> str:
        return f"environment variable {self.env}" if self.env is not None else f"file {self.file}"

    def read(self, what: str) -> str:
        """Give the value.

        Parameters
        ----------
        what
            What it is, for the message.

        Raises
        ------
        ConfigError
            The variable is not set, or the file cannot be read, or it is empty.
        """
        if self.env is not None:
            value = os.environ.get(self.env, "")
        else:
            try:
                value = Path(str(self.file)).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigError(f"{what}: {self} cannot be read: {reason}") from None
        if not value:
            raise ConfigError(f"{what}: {self} is not set or is empty; put the value there")
        return value


class Text(Secret):
    """A value that may stand in the file itself, or where a secret may stand: a user name."""

    value: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        return {"value": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "Text":
        if [self.value, self.env, self.file].count(None) != 2:  # noqa: PLR2004  (one of three)
            raise ValueError("say a text, or {env: NAME}, or {file: PATH}")
        return self

    def __str__(self) -> str:
        return self.value if self.value is not None else super().__str__()

    def read(self, what: str) -> str:
        """Give the value; see `Secret.read`."""
        return self.value if self.value is not None else super().read(what)
