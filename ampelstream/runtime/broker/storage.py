"""A directory made ready for a new broker: its storage formatted, its first users in it."""

import re
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from ampelstream.errors import BrokerError
from ampelstream.runtime.broker.properties import SCRAM

__all__ = ["check_users", "format_storage"]

_SECONDS = 60.0
_LINES = 15


def check_users(users: Mapping[str, str]) -> None:
    """Refuse what Kafka's tool would take apart wrongly; the message shows no password.

    Raises
    ------
    BrokerError
        A name or password is empty or has a character that the tool uses itself.
    """
    for name, password in users.items():
        if not re.fullmatch(r"[\w.@-]+", name) or not re.fullmatch(r"[^\s,\"\[\]]+", password):
            raise BrokerError(
                f"SCRAM user {name!r}: the name may have letters, digits and . _ @ -; the "
                'password anything but blanks and , " [ ]'
            )


def format_storage(
    java: Sequence[str], properties: Path, data: Path, users: Mapping[str, str]
) -> None:
    """Format a broker's storage where that has not been done.

    Parameters
    ----------
    java
        Command that runs a class of Kafka, without the class.
    properties
        The broker's settings.
    data
        Where they say that the logs are.
    users
        Users and passwords that SCRAM listeners know from the start.

    Raises
    ------
    BrokerError
        Kafka's tool failed.
    """
    if (data / "meta.properties").exists():
        return
    identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(properties)]
    # by way of a file: every user of the machine can read a command line
    secrets = properties.with_name(".scram-users")
    try:
        if users:
            secrets.touch(mode=0o600)
            secrets.write_text("".join(_lines(users)))
            command.append(f"@{secrets}")
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"formatting {data} took more than {_SECONDS:.0f} s") from error
    finally:
        secrets.unlink(missing_ok=True)
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-_LINES:])
        for password in users.values():
            said = said.replace(password, "***")
        hint = "Kafka 4 needs Java 17 or later" if "UnsupportedClass" in said else "see there"
        raise BrokerError(f"Kafka could not format {data} ({hint}):\n{said}")


def _lines(users: Mapping[str, str]) -> list[str]:
    """Arguments of the tool, one a line, for each user and each kind of SCRAM."""
    return [
        f'--add-scram\n{kind}=[name="{name}",password="{password}"]\n'
        for name, password in users.items()
        for kind in SCRAM
    ]
