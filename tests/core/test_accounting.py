"""What is counted counts once, and adds up."""

import threading

from ampelstream.core.accounting import Accounting


def test_a_tally_counts_when_it_is_committed() -> None:
    accounting = Accounting()
    tally = accounting.tally()
    tally.count("received", "alerts", n=3)
    assert accounting.counts() == {}
    tally.commit()
    tally.commit()
    assert accounting.counts() == {("received", "alerts"): 3}


def test_what_is_thrown_away_with_its_processor_never_counted() -> None:
    accounting = Accounting()
    accounting.tally().count("passed")
    again = accounting.tally()
    again.count("passed")
    again.commit()
    assert accounting.total("passed") == 1


def test_sums_over_labels() -> None:
    accounting = Accounting({("rejected", "one", "old"): 2, ("rejected", "two", "old"): 3})
    tally = accounting.tally()
    tally.count("rejected", "one", "faint", n=4)
    tally.commit()
    assert accounting.total("rejected") == 9
    assert accounting.total("rejected", "one") == 6
    assert list(accounting.by("rejected", "one")) == [("faint", 4), ("old", 2)]
    assert list(accounting.by("rejected")) == [("one", 6), ("two", 3)]
    assert accounting.total("rejecte") == 0


def test_threads_lose_no_count() -> None:
    accounting = Accounting()

    def work() -> None:
        tally = accounting.tally()
        for _ in range(1000):
            tally.count("passed")
            tally.commit()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accounting.total("passed") == 4000
