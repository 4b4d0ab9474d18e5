"""How a worker ends that cannot go on, and what it says: each code for what it means."""

import asyncio
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from .looking import answer, incidents, where
from .small import Small
from .workers import Running, ampelstream, wait_for_work, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def started(broker: str, name: str, directory: Path, *options: str) -> tuple[Small, Running]:
    """A topology with some records, and a worker that has done its work."""
    directory.mkdir()
    small = Small(broker, name, directory)
    small.announce()
    small.feed(range(1, 21))
    worker = small.worker(*options)
    wait_for_work(broker, name)
    return small, worker


def kill(*workers: Running) -> None:
    for worker in workers:
        worker.process.kill()
        worker.process.wait()


def test_topics_that_change_underneath_end_a_worker_with_their_name(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    """Three topologies at once: each takes most of a minute."""

    async def change(smalls: list[Small]) -> None:
        deleted, grown, anew = (one.names for one in smalls)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker_address)
        await admin.start()
        try:
            await admin.delete_topics([deleted.reactions, anew.reactions])
            await admin.create_partitions({grown.detections: NewPartitions(3)})
            await asyncio.sleep(2.0)
            await admin.create_topics([NewTopic(anew.reactions, smalls[2].partitions, 1)])
        finally:
            await admin.close()

    both = [started(broker_address, f"{unique}{n}", tmp_path / str(n)) for n in range(3)]
    workers = [worker for _, worker in both]
    try:
        asyncio.run(change([small for small, _ in both]))
        assert [worker.process.wait(120) for worker in workers] == [78] * 3
    finally:
        kill(*workers)
    deleted, grown, anew = (small.names for small, _ in both)
    told = [incidents(worker, "misconfigured")[0]["message"] for worker in workers]
    assert f"topic {deleted.reactions} does not exist any longer" in told[0]
    assert f"topic {grown.detections} has 3 partitions, and had 2" in told[1]
    # nobody reads it here: only its id tells
    assert f"topic {anew.reactions} was deleted and made anew: start the workers." in told[2]
    # what is advised for the first is done, and is enough
    small = both[0][0]
    make = re.search(r"longer: make it again \(ampelstream (.*)\), and start the workers", told[0])
    assert make is not None
    ampelstream(*shlex.split(make[1]))
    again = small.worker(log="again")
    try:
        small.feed(range(21, 41))
        wait_for_work(broker_address, small.names.topology)
        assert sum(small.alerts().values()) == 40
        assert not again.said("died")
        assert again.stop() == 0
    finally:
        kill(again)


def test_a_port_in_use_and_a_file_with_other_partitions_are_configuration(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    small, worker = started(broker_address, unique, tmp_path / "one")
    taken = int(where(worker).rpartition(":")[2])
    other = small.worker("--port", str(taken - 5), index=5, log="port")
    try:
        assert other.process.wait(60) == 78
        assert "cannot listen on" in incidents(other, "misconfigured")[0]["message"]
        assert not other.said("Unclosed")
        small.topology.write_text(small.topology.read_text() + "kafka: {partitions: 4}\n")
        other = small.worker(index=6, log="partitions")
        assert other.process.wait(60) == 78
        said = incidents(other, "misconfigured")[0]["message"]
        assert "says kafka.partitions: 4, and its topics have 2" in said
    finally:
        kill(worker, other)


def test_a_full_disk_is_no_defect_and_the_next_start_goes_on(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    """No file may grow any more, which is how a disk that is full looks to a process."""
    small, worker = started(broker_address, unique, tmp_path / "one")
    try:
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (1, 1))
        small.feed(range(21, 61))
        assert worker.process.wait(60) == 1
        wait_until(lambda: bool(incidents(worker, "failed")), 10, "it has said why")
        assert "Is the disk full?" in incidents(worker, "failed")[0]["message"]
        again = small.worker(log="again")
        wait_for_work(broker_address, unique)
        assert sum(small.alerts().values()) == 60
        assert again.stop() == 0
    finally:
        kill(worker)


def test_a_state_that_was_removed_is_restored_by_the_next_start(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    small, worker = started(broker_address, unique, tmp_path / "one")
    try:
        shutil.rmtree(small.state)
        small.feed(range(21, 61))
        wait_for_work(broker_address, unique)  # it may go on in files that have no name any more
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) in {0, 1}
        assert not worker.said("Error while stopping")
        again = small.worker(log="again")
        wait_for_work(broker_address, unique)
        wait_until(lambda: answer(f"{where(again)}/ready")[0] == 200, 60, "it is ready")
        assert sum(small.alerts().values()) == 60
        assert incidents(again, "restore_done")
        assert again.stop() == 0
    finally:
        kill(worker)


def children(process: "subprocess.Popen[Any]") -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def test_a_new_supervisor_waits_for_the_workers_of_the_old_one(
    broker_address: str, unique: str, tmp_path: Path
) -> None:
    directory = tmp_path / "one"
    directory.mkdir()
    small = Small(broker_address, unique, directory)
    small.announce()
    small.feed(range(1, 21))
    old = small.worker("--workers", "2", index=None, log="old")
    wait_for_work(broker_address, unique)
    workers = children(old.process)
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # they take long to stop
    kill(old)
    new = small.worker("--workers", "2", index=None, log="new")
    try:
        wait_until(lambda: len(incidents(new, "waiting_for_old")) == 2, 30, "both wait")
        time.sleep(1.0)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: len(incidents(new, "ready")) == 2, 60, "both are ready")
        small.feed(range(21, 41))
        wait_for_work(broker_address, unique)
        assert sum(small.alerts().values()) == 40
    finally:
        assert new.stop() == 0
    assert incidents(new, "worker_died") == []
