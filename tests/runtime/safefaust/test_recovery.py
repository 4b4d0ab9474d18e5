"""A step of the recovery that never ends: our recovery beside Faust's own."""

import asyncio
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import TP

from ampelstream.runtime.safefaust.failures import RecoveryError
from ampelstream.runtime.safefaust.recovery import SafeRecovery


def recovery(kind: type[Any], directory: Path) -> Any:
    app = faust.App("app", broker="kafka://nowhere", datadir=str(directory), web_enabled=False)
    made = kind(app, app.tables)
    made.tables = app.tables
    return made


def wait(kind: type[Any], directory: Path, step: Any, timeout: float | None) -> None:
    async def run() -> None:
        await recovery(kind, directory)._wait(step(), timeout=timeout)

    asyncio.run(run())


async def silence() -> None:
    await asyncio.sleep(30)


async def failure() -> None:
    raise OSError("no route")


def test_faust_takes_it_for_a_stop(tmp_path: Path) -> None:
    """And with that its recovery ends without a word."""
    with pytest.raises(ServiceStopped):
        wait(Recovery, tmp_path, silence, 0.05)


def test_ours_ends(tmp_path: Path) -> None:
    with pytest.raises(RecoveryError, match=r"within 0\.05 s"):
        wait(SafeRecovery, tmp_path, silence, 0.05)


def test_what_is_done_in_time_is_done(tmp_path: Path) -> None:
    done: list[int] = []

    async def step() -> None:
        done.append(1)

    wait(SafeRecovery, tmp_path, step, 5.0)
    assert done == [1]


def test_its_failure_is_raised(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no route"):
        wait(SafeRecovery, tmp_path, failure, 5.0)


def test_what_is_cancelled_inside_does_not_end_it_without_a_word(tmp_path: Path) -> None:
    async def step() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RecoveryError, match="was cancelled"):
        wait(SafeRecovery, tmp_path, step, 5.0)


def test_without_a_limit_it_may_take_its_time(tmp_path: Path) -> None:
    async def step() -> None:
        await asyncio.sleep(0.1)

    wait(SafeRecovery, tmp_path, step, None)


def test_another_rebalance_interrupts_it(tmp_path: Path) -> None:
    async def run() -> None:
        ours = recovery(SafeRecovery, tmp_path)
        asyncio.get_running_loop().call_later(0.05, ours.signal_recovery_start.set)
        await ours._wait(silence(), timeout=10.0)

    with pytest.raises(RebalanceAgain):
        asyncio.run(run())


def test_faust_finds_nothing_to_restore_also_where_others_write_meanwhile(tmp_path: Path) -> None:
    """The owner writes over it; through Faust it would become part of the state."""
    changelog = TP("changelog", 0)

    class Brokers:
        async def highwaters(self, *tps: TP) -> dict[TP, int]:
            return dict.fromkeys(tps, 9)

    async def run() -> bool:
        ours = recovery(SafeRecovery, tmp_path)
        ours.active_offsets[changelog] = None  # a new database
        await ours._build_highwaters(Brokers(), {changelog}, ours.active_highwaters, "active")
        assert ours.active_offsets == {changelog: 8}  # its last record
        return bool(ours.need_recovery())

    assert not asyncio.run(run())
