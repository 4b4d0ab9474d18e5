"""With which code a worker ends, and what it says."""

import asyncio
import errno
import logging

import pytest
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

from ampelstream.errors import CatalogError, ConfigError, InputError, SourceError, StorageError
from ampelstream.runtime.safefaust.failures import ProduceError, SettingsError, TopicError
from ampelstream.runtime.service.endings import code_of, say_why
from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.server import HostError, PortError

LOG = logging.getLogger("ampelstream.test_endings")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such topic"), ExitCode.CONFIGURATION),
        (CatalogError("not there"), ExitCode.CONFIGURATION),
        (InputError("no such directory"), ExitCode.CONFIGURATION),
        (SettingsError("wrong version"), ExitCode.CONFIGURATION),
        (TopicError("made anew"), ExitCode.CONFIGURATION),
        (PortError("in use"), ExitCode.CONFIGURATION),
        (HostError("not known yet"), ExitCode.FAILED),
        (SourceError("away"), ExitCode.FAILED),
        (ProduceError("away"), ExitCode.FAILED),
        (StorageError("the disk fails"), ExitCode.FAILED),
        (KafkaConnectionError("away"), ExitCode.FAILED),
        (RequestTimedOutError(), ExitCode.FAILED),
        (TimeoutError(), ExitCode.FAILED),
        (FileNotFoundError(errno.ENOENT, "gone", "state/worker-0"), ExitCode.FAILED),
        (OSError(errno.ENOSPC, "No space left on device"), ExitCode.FAILED),
        (asyncio.CancelledError(), ExitCode.FAILED),
        (KeyError("x"), ExitCode.CRASHED),
        (AssertionError(), ExitCode.CRASHED),
        (None, ExitCode.CRASHED),
    ],
)
def test_only_a_defect_of_ours_is_a_crash(error: BaseException | None, code: ExitCode) -> None:
    assert code_of(error) is code


def test_it_is_said_in_one_line_and_a_defect_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert say_why(LOG, ConfigError("topic a\ntopic b"), step="topics") == 78
    assert say_why(LOG, OSError(errno.ENOSPC, "No space left on device")) == 1
    assert say_why(LOG, asyncio.CancelledError()) == 1
    assert say_why(LOG, KeyError("x"), step="objects") == 70
    wrong, full, cancelled, crashed = caplog.records
    assert wrong.getMessage() == "topic a; topic b (exit_code=78, error=ConfigError, step=topics)"
    assert "OSError: [Errno 28] No space left on device; look at the disk" in full.getMessage()
    assert "a new start tries again" in cancelled.getMessage()
    assert [one.incident.event for one in caplog.records] == [  # type: ignore[attr-defined]  # (set by extra=)
        "misconfigured",
        "failed",
        "failed",
        "crashed",
    ]
    assert [one.levelno for one in caplog.records] == [logging.ERROR] * 3 + [logging.CRITICAL]
    assert crashed.exc_info is not None
    assert not any(one.exc_info for one in (wrong, full, cancelled))


def test_lines_become_one_that_reads_well(caplog: pytest.LogCaptureFixture) -> None:
    say_why(
        logging.getLogger("ends"), ConfigError("for you to say:\n  a: 1 -> 2\n  b: 1 -> 3\nstart")
    )
    assert "for you to say: a: 1 -> 2; b: 1 -> 3; start" in caplog.text
