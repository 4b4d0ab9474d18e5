"""What was done, said once a minute."""

import logging

import pytest

from ampelstream.core.accounting import Accounting
from ampelstream.runtime.service.minutes import Minutes


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, dict[str, object]]]:
    """Level, event and facts of each line since the last time."""
    found = [(one.levelname, getattr(one, "incident")) for one in caplog.records]  # noqa: B009  (set by extra=)
    caplog.clear()
    return [(level, what.event, what.fields) for level, what in found]


def test_what_was_counted_since_the_last_time_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    accounting = Accounting({("received", "alerts"): 1000})
    minutes = Minutes(accounting)
    minutes.say()
    assert said(caplog) == []
    accounting.add(
        {
            ("received", "alerts"): 20,
            ("received", "notices"): 1,
            ("passed",): 12,
            ("rejected_by_all", "faint"): 5,
            ("rejected_by_all", "bogus"): 3,
            ("candidates",): 4,
            ("reactions", "near", "decided"): 2,
            ("reactions", "near", "sent"): 1,
        }
    )
    minutes.say()
    facts = {"alerts": 20, "passed": 12, "rejected": 8, "notices": 1, "candidates": 4}
    facts |= {"reactions_decided": 2, "reactions_sent": 1}
    assert said(caplog) == [("INFO", "work", facts)]
    minutes.say()
    assert said(caplog) == []


def test_what_went_wrong_is_said_by_reason_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    accounting = Accounting()
    minutes = Minutes(accounting)
    accounting.add(
        {
            ("dead_letters", "alerts", "decode", "DecodeError"): 3,
            ("dead_letters", "notices", "decode", "ValueError"): 900,
            ("reactions", "near", "failed"): 7,
            ("reactions", "near", "sent"): 7,
        }
    )
    minutes.say()
    reasons = ["900 x notices decode ValueError", "3 x alerts decode DecodeError"]
    assert said(caplog) == [
        ("WARNING", "dead_letters", {"records": 903, "reasons": reasons}),
        ("WARNING", "reactions_failed", {"records": 7, "reasons": ["7 x near"]}),
    ]
    accounting.add({("dead_letters", "alerts", f"step{n}", "E"): n + 1 for n in range(1000)})
    minutes.say()
    ((_, _, facts),) = said(caplog)
    reasons = list(facts["reasons"])  # type: ignore[call-overload]  # (they are a list)
    assert (len(reasons), reasons[0]) == (20, "1000 x alerts step999 E")


def test_an_alert_from_the_future_is_named(caplog: pytest.LogCaptureFixture) -> None:
    accounting = Accounting()
    minutes = Minutes(accounting)
    accounting.add({("watermark_refused",): 3}, {"watermark_refused": "a[0]@1 of 2050-01-01"})
    minutes.say()
    facts = {"records": 3, "such_as": "a[0]@1 of 2050-01-01"}
    assert said(caplog) == [("WARNING", "watermark_refused", facts)]
    minutes.say()
    assert said(caplog) == []


def test_what_was_put_right_in_notices_is_named(caplog: pytest.LogCaptureFixture) -> None:
    accounting = Accounting()
    minutes = Minutes(accounting)
    accounting.add({("remarks", "S1: its probabilities sum to 2"): 2})
    minutes.say()
    facts = {"records": 2, "reasons": ["2 x S1: its probabilities sum to 2"]}
    assert said(caplog) == [("WARNING", "notices_mended", facts)]
    minutes.say()
    assert said(caplog) == []
