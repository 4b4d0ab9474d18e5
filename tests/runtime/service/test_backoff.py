from ampelstream.runtime.service.backoff import Backoff


def test_waits_double_up_to_a_limit() -> None:
    backoff = Backoff(first=1, longest=30)
    assert [backoff.after(0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_what_lived_long_begins_anew() -> None:
    backoff = Backoff(first=1, longest=30, settled=60)
    assert [backoff.after(lived) for lived in (0, 0, 59, 60, 0)] == [1, 2, 4, 1, 2]
