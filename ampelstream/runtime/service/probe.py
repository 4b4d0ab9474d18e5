"""The health check of a container: asks the workers of its main process whether they are alive.

It reads the command line of process 1, so that one image serves workers and one-off commands such
as ``ampelstream topics create``: what answers no questions is not asked any, and counts as healthy.
Nothing is imported but the standard library, since it runs twice a minute beside the worker.
"""

import argparse
import http.client
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["check", "main", "worker_addresses"]

MAIN_PROCESS = Path("/proc/1/cmdline")
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 6066
"""As in ``ampelstream run``; a test compares them."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (nothing is bound here)
_SECONDS = 5.0


def _after(words: Sequence[str], *path: str) -> Sequence[str] | None:
    """Words that follow these; None where they do not stand together."""
    for start in range(len(words) - len(path) + 1):
        names = [words[start].rpartition("/")[2], *words[start + 1 : start + len(path)]]
        if names == list(path):
            return words[start + len(path) :]
    return None


def worker_addresses(words: Sequence[str]) -> list[tuple[str, int]]:
    """Where the workers of a command line answer.

    Parameters
    ----------
    words
        The command line; an interpreter or an init process may stand in front.

    Returns
    -------
    list of (str, int)
        Host and port of each worker; none where the command is not ``ampelstream run --engine
        faust``, or where its port is 0, which is any.
    """
    options = _after(words, "ampelstream", "run")
    if options is None:
        return []
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--engine", default="embedded")
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--workers", type=int, default=1)
    known, _ = parser.parse_known_args(options)
    if known.engine != "faust" or not known.port:
        return []
    host = _ANY.get(known.host, known.host)
    return [(host, known.port + index) for index in range(known.workers)]


def _complaint(host: str, port: int, seconds: float) -> str | None:
    """What is wrong with a worker; None where nothing is."""
    # no urllib: it would go through the proxy that the environment names
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/live")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"
    finally:
        connection.close()
    return None if answer.status == http.client.OK else text


def check(words: Sequence[str], *, seconds: float = _SECONDS) -> Iterator[str]:
    """Give one line for each worker that is not alive.

    Parameters
    ----------
    words
        Command line of the main process.
    seconds
        How long a worker may take to answer [s].
    """
    for host, port in worker_addresses(words):
        complaint = _complaint(host, port, seconds)
        if complaint is not None:
            yield f"{host}:{port}: {complaint}"


def main(cmdline: Path = MAIN_PROCESS) -> int:
    """Check the workers of the main process; 1 where one is not alive, otherwise 0."""
    words = [word.decode(errors="replace") for word in cmdline.read_bytes().split(b"\0") if word]
    complaints = list(check(words))
    for line in complaints:
        sys.stderr.write(line + "\n")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
