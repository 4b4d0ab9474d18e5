"""Text from outside is shown, and does nothing else."""

import time

import pytest

from ampelstream.model.display import counted, printable, printable_lines


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ZTF17aaa", "ZTF17aaa"),
        ("[red]Größe μ 10\u2009km 新星", "[red]Größe μ 10\u2009km 新星"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\r\n\tb\0", r"a\x0d\x0a\x09b\x00"),
        ("\x7f\x9b\x85", r"\x7f\x9b\x85"),
        ("\u202a\u202e\u2066\u2069\u061c", r"\u202a\u202e\u2066\u2069\u061c"),
        ("\u200b\u200d\ufeff\u2028\u2029", r"\u200b\u200d\ufeff\u2028\u2029"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\U000e0041", r"\U000e0041"),
        (17, "17"),
        ("", ""),
    ],
)
def test_what_cannot_be_shown_is_escaped(given: object, shown: str) -> None:
    assert printable(given) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 200 + "… (+1 characters)"
    assert printable("x" * 10, 4) == "xxxx… (+6 characters)"
    assert printable("\x1b" * 10, 9) == r"\x1b\x1b… (+8 characters)"


@pytest.mark.parametrize("character", ["x", "\x1b", "\n", "\ud800"])
def test_a_megabyte_takes_no_time_and_no_space(character: str) -> None:
    start = time.perf_counter()
    assert len(printable(character * 1_000_000)) < 240
    assert len(printable_lines(character * 1_000_000)) < 3000
    assert time.perf_counter() - start < 1


def test_lines_stay_lines() -> None:
    text = "Traceback:\n  File \x1b\nValueError: a\rb"
    assert printable_lines(text) == "Traceback:\n  File \\x1b\nValueError: a\\x0db"
    assert printable_lines("one\nerror: two", indent="  ") == "one\n  error: two"
    many = printable_lines("\n".join(map(str, range(1000)))).splitlines()
    assert (many[0], many[100], many[-1], len(many)) == ("0", "… (+800 lines)", "999", 201)


def test_counted() -> None:
    assert counted(0, "alert") == "0 alerts"
    assert counted(1, "alert") == "1 alert"
    assert counted(2, "alert") == "2 alerts"
    assert counted(1, "record waits", "records wait") == "1 record waits"
    assert counted(3, "record waits", "records wait") == "3 records wait"
