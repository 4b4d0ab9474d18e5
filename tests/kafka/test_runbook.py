"""The runbook of a changed topology in ``deploy/README.md``, command by command."""

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ampelstream.simulate import Night
from ampelstream.topology import load

from .looking import in_force
from .test_change import FILTER, FIRST, RULE
from .workers import Running, ampelstream, wait_for_work, wait_until

README = Path(__file__).resolve().parents[2] / "deploy" / "README.md"


def runbook() -> list[str]:
    """Commands of the section, in order."""
    section = README.read_text().split("## Changing the topology")[1].split("\n## ")[0]
    return [line[2:] for line in re.findall(r"^\$ ampelstream .*$", section, re.MULTILINE)]


class Desk:
    """Where the commands are typed: two files of one topology, and a broker."""

    def __init__(self, address: str, name: str, directory: Path) -> None:
        self.address, self.name, self.directory = address, name, directory
        text = FIRST.format(name=name)
        (directory / "old.yml").write_text(text)
        for old, new in (FILTER, RULE):
            text = text.replace(old, new)
        (directory / "new.yml").write_text(text)
        rule_only = FIRST.format(name=name).replace(*RULE)
        (directory / "rule.yml").write_text(rule_only)
        self.running: list[Running] = []

    def words(self, line: str) -> list[str]:
        typed = line.replace("localhost:9092", self.address)
        typed = re.sub(r"--port \d+ ", "", typed)  # the harness takes any that is free
        for file in ("new.yml", "old.yml", "rule.yml"):
            typed = typed.replace(f" {file}", f" {self.directory / file}")
        return shlex.split(typed.replace(" state/", f" {self.directory / 'state'}"))[1:]

    def run(self, line: str) -> Running:
        """Start a supervisor of two workers, and wait until both work."""
        log = self.directory / f"run-{len(self.running)}.log"
        worker = Running(self.words(line)[1:], log, None)
        self.running.append(worker)
        wait_until(lambda: log.read_text().count("worker answers at") == 2, 60, "two workers")
        return worker


@pytest.fixture
def desk(broker_address: str, unique: str, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(broker_address, unique, tmp_path)
    yield made
    for one in made.running:
        one.process.kill()
        one.process.wait()


@contextmanager
def taken_over(desk: Desk) -> Iterator[None]:
    """What ran before ends by itself when the next begins."""
    before = desk.running[-1]
    yield
    assert before.process.wait(60) == 77
    assert before.said("another topology file is in force")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_of_the_runbook(desk: Desk, make_night: Callable[..., Night]) -> None:
    night = make_night(seed=7, alerts=400)
    check, diff, plain, backfill, content, back, create, again = runbook()
    broker: list[str | Path] = ["--broker", desk.address]
    old = desk.directory / "old.yml"
    ampelstream("topics", "create", old, *broker, "--yes")
    desk.run(plain.replace("new.yml", "old.yml"))
    ampelstream(
        "topics", "load", old, *broker, "--alerts", night.alerts, "--notices", night.notices
    )
    wait_for_work(desk.address, desk.name)
    assert ": ok (" in ampelstream(*desk.words(check)).stdout
    said = ampelstream(*desk.words(diff)).stdout
    assert '"path":"channels.sky.alerts.where"' in said
    assert '"effect":"from now on, or with a backfill"' in said
    with taken_over(desk):
        desk.run(plain.replace("new.yml", "rule.yml"))
    with taken_over(desk):
        desk.run(backfill)
    said = ampelstream(*desk.words(content)).stderr
    assert said.startswith("in force is version 1 with content ")
    with taken_over(desk):  # its filters are the earlier ones: that asks for a word, too
        desk.run(f"{back.replace('CONTENT', said.split()[-1])} --from-now-on")
    assert desk.running[-1].stop() == 0
    plan = ampelstream(*desk.words(create))
    assert "nothing to do" in plan.stdout + plan.stderr
    assert load(desk.directory / "new.yml").name == desk.name
    desk.run(f"{again} --roll-back {in_force(desk.address, desk.name)} --from-now-on")
    wait_for_work(desk.address, desk.name)
    assert desk.running[-1].stop() == 0
