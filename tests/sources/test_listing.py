"""What has come and gone below a directory, and how little is asked for it."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.errors import SourceError
from ampelstream.sources.listing import Listing


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Directories that were listed."""
    found: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> Iterator[os.DirEntry[str]]:
        found.append(Path(path).name)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    return found


def settle(*directories: Path) -> None:
    """As if they had last changed an hour ago."""
    for path in directories:
        then = path.stat().st_mtime_ns - 3600 * 10**9
        os.utime(path, ns=(then, then))


def names(root: Path, paths: list[str]) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in paths]


def test_only_what_has_changed_is_listed(tmp_path: Path, scanned: list[str]) -> None:
    root, one, two = tmp_path / "root", tmp_path / "root" / "one", tmp_path / "root" / "two"
    for path in (one, two):
        path.mkdir(parents=True)
        (path / "a").touch()
    settle(root, one, two)
    below = Listing(root)
    assert names(root, below.look().added) == ["one/a", "two/a"]
    assert sorted(scanned) == ["one", "root", "two"]
    assert below.look().added == []
    assert len(scanned) == 3
    (two / "b").touch()
    changes = below.look()
    assert names(root, changes.added) == ["two/b"]
    assert scanned[3:] == ["two"]
    assert below.look(whole=True).added == []
    assert len(scanned) == 7


def test_a_directory_that_has_just_changed_is_listed_again(
    tmp_path: Path, scanned: list[str]
) -> None:
    """Its time of change has steps: what came within the same one would never be seen."""
    now = [tmp_path.stat().st_mtime_ns]
    below = Listing(tmp_path, lambda: now[0])
    below.look()
    same = tmp_path.stat().st_mtime_ns
    (tmp_path / "late").touch()
    os.utime(tmp_path, ns=(same, same))  # within the same step
    now[0] += 10**9
    assert names(tmp_path, below.look().added) == ["late"]
    now[0] += 10**10
    below.look()
    count = len(scanned)
    below.look()
    assert len(scanned) == count


def test_what_goes_is_said_and_hidden_names_are_not_seen(tmp_path: Path) -> None:
    for name in ("deep/er/a", "deep/b", ".hidden", ".git/c", "d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    below = Listing(tmp_path)
    assert names(tmp_path, below.look().added) == ["d", "deep/b", "deep/er/a"]
    (tmp_path / "d").unlink()
    shutil.rmtree(tmp_path / "deep" / "er")
    assert names(tmp_path, below.look().removed) == ["d", "deep/er/a"]
    shutil.rmtree(tmp_path / "deep")
    assert names(tmp_path, below.look().removed) == ["deep/b"]


def test_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "to-file").symlink_to(tmp_path / "real" / "file")
    (tmp_path / "to-directory").symlink_to(tmp_path / "real")
    (tmp_path / "to-nothing").symlink_to(tmp_path / "nothing")
    (tmp_path / "to-itself").symlink_to(tmp_path / "to-itself")
    os.mkfifo(tmp_path / "pipe")
    changes = Listing(tmp_path).look()
    assert names(tmp_path, changes.added) == ["real/file", "to-file"]
    assert names(tmp_path, sorted(changes.odd)) == ["pipe", "to-itself", "to-nothing"]


def test_what_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a").touch()
    scandir = os.scandir

    def guarded(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    changes = Listing(tmp_path).look()
    assert names(tmp_path, changes.added) == ["a"]
    assert changes.odd == {
        str(tmp_path / "closed"): "a directory that cannot be listed: Permission denied"
    }
    with pytest.raises(SourceError, match="gone cannot be listed: No such file"):
        Listing(tmp_path / "gone").look()


def _add(root: Path, dice: random.Random) -> None:
    path = root / dice.choice("abc") / dice.choice("abc") / f"{dice.randrange(9)}.avro"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _remove(root: Path, dice: random.Random) -> None:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    if files:
        dice.choice(files).unlink()


def _move(root: Path, dice: random.Random) -> None:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    if files:
        dice.choice(files).rename(root / f"moved{dice.randrange(3)}.avro")


def _drop(root: Path, dice: random.Random) -> None:
    shutil.rmtree(root / dice.choice("abc"), ignore_errors=True)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from([_add, _add, _add, _remove, _move, _drop]), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_looks_add_up_to_what_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Callable[[Path, random.Random], None]],
    seed: int,
) -> None:
    root, dice = tmp_path_factory.mktemp("tree"), random.Random(seed)  # noqa: S311  (no secret)
    below, known = Listing(root), set[str]()
    for step in steps:
        step(root, dice)
        if dice.random() < 0.6:
            changes = below.look()
            assert not known & set(changes.added)
            known = (known | set(changes.added)) - set(changes.removed)
            assert known == {str(path) for path in root.rglob("*") if path.is_file()}
