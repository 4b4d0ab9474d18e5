"""What is counted counts once, and adds up."""

import threading

from ampelstream.core.accounting import OTHER, Accounting


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


def test_errors_are_bounded_like_reasons() -> None:
    accounting = Accounting()
    for number in range(200):
        accounting.add({("dead_letters", "alerts", "match", f"Error{number}"): 1})
    assert len(accounting.counts()) == 51
    assert accounting.total("dead_letters", "alerts", "match", OTHER) == 150


def test_reasons_are_bounded_and_nothing_is_uncounted() -> None:
    accounting = Accounting()
    for number in range(200):
        accounting.add({("rejected", "bright", f"magnitude {number}"): 1})
    accounting.add({("rejected", "bright", "magnitude 3"): 1, ("rejected", "faint", "x" * 5000): 1})
    found = accounting.counts()
    assert len(found) == 52
    assert sum(found.values()) == 202
    assert found[("rejected", "bright", OTHER)] == 150
    assert found[("rejected", "bright", "magnitude 3")] == 2
    assert max(len(key[-1]) for key in found) == 120
    assert Accounting(dict(sorted(found.items(), reverse=True))).counts() == found


def test_one_of_what_was_counted_last_is_named() -> None:
    accounting = Accounting()
    tally = accounting.tally()
    for batch in ("first", "second"):
        for number in range(3):
            tally.count("watermark_refused")
            tally.example("watermark_refused", f"{number} of the {batch} batch")
        tally.commit()
        assert accounting.example("watermark_refused") == f"0 of the {batch} batch"
    accounting.tally().example("watermark_refused", "of a batch that is done again")
    tally.count("passed")
    tally.commit()
    assert accounting.example("watermark_refused") == "0 of the second batch"
    assert accounting.example("passed") == ""
