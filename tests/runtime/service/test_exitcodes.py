import pytest

from ampelstream.runtime.service.exitcodes import ExitCode, meaning


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "done"),
        (75, "hung, ended by its watchdog"),
        (-9, "killed by SIGKILL"),
        (-200, "killed by signal 200"),
        (42, "not a code of ours"),
    ],
)
def test_codes_in_words(code: int, words: str) -> None:
    assert meaning(code) == words


def test_codes_are_distinct_and_keep_their_numbers() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "DEAD_LETTERS": 3,
        "CRASHED": 70,
        "HUNG": 75,
        "ORPHANED": 76,
        "SUPERSEDED": 77,
        "CONFIGURATION": 78,
        "INTERRUPTED": 130,
    }
