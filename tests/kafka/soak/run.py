"""Rounds of faults: feed, disturb, wait until all is done, check."""

import asyncio
import random
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ampelstream.errors import AmpelstreamError
from ampelstream.model.candidate import Candidate
from ampelstream.model.record import record_bytes
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.headers import encode_origin
from ampelstream.runtime.kafka.names import OBJECTS, REACT, TopicNames
from ampelstream.runtime.outputs import candidate_row, encode_lines
from ampelstream.runtime.safefaust.failures import ProduceError
from ampelstream.runtime.safefaust.outbox import Outbox, Outgoing
from ampelstream.testing.broker.broker import Broker
from tests.kafka.soak import fold
from tests.kafka.soak.check import Sent, judge_final, judge_packets, judge_sent
from tests.kafka.soak.cluster import Workers, ampelstream, run_command
from tests.kafka.soak.faults import FAULTS, Lengths, Scene
from tests.kafka.soak.lag import Ends, behind, groups
from tests.kafka.soak.packets import Stream
from tests.kafka.soak.survey import Survey

__all__ = ["Result", "Soak"]

PARTITIONS = 4
WORKERS = 3
_CHUNK = 20
_REPEATED = 0.02


@dataclass(slots=True)
class Result:
    """What the rounds gave."""

    fault: str
    packets: int = 0
    rounds: int = 0
    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)
    letters: int = 0
    sent: int = 0
    sent_twice: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    candidates: int = 0
    equal: bool = False
    catch_up: list[float] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return self.equal and not (self.lost or self.doubled or self.sent_twice or self.wrong)


class Soak:
    """A fault, or some in turn, on a broker of their own, in a directory of their own."""

    def __init__(
        self,
        faults: Sequence[str],
        stream: Stream,
        directory: Path,
        *,
        seed: int,
        rate: float,
        patience: float = 180.0,
        lengths: Lengths | None = None,
    ) -> None:
        self.faults = faults
        name = ", ".join(faults)
        self.stream = stream
        self.directory = directory
        self.rate = rate
        self.patience = patience
        self.lengths = lengths or Lengths()
        self.dice = random.Random(f"{name}/{seed}")  # noqa: S311  (reproducible, not a secret)
        self.state = directory / "state"
        self.state.mkdir(parents=True)
        self.topology = directory / "soak.yml"
        self.topology.write_text(stream.topology())
        self.names = TopicNames("soak")
        self.changelog = fold.Fold(self.names.changelog(OBJECTS), PARTITIONS)
        self.ledger = fold.Fold(self.names.changelog(REACT), PARTITIONS)
        self.letters = fold.Fold(self.names.dead_letters, 1)
        self.survey = None
        if "away" in faults:
            self.survey = Survey(directory / "survey", self.names, PARTITIONS)
        self.result = Result(name)
        self._next = 1
        self._due = stream.notices()

    def run(self, rounds: int, expected: Sequence[Candidate]) -> Result:
        """Do the rounds, stop, and hold the candidates against the expected ones (NDJSON)."""
        with ExitStack() as open_things:
            broker = open_things.enter_context(Broker(self.directory / "broker"))
            create = ampelstream("topics", "create", self.topology, "--broker", broker.address)
            subprocess.run([*create, "--yes"], check=True, capture_output=True)
            if self.survey is not None:
                open_things.enter_context(self.survey.broker)
                asyncio.run(self.survey.create_topic())
            with ExitStack() as running:
                scene = self._start(broker, running)
                for number in range(1, rounds + 1):
                    if not asyncio.run(self._round(scene, number, rounds)):
                        break
            self._finish(broker, expected)
        return self.result

    def _start(self, broker: Broker, running: ExitStack) -> Scene:
        """Start the workers; they are stopped when what is running ends."""
        options: tuple[object, ...] = ()
        ingest = None
        if self.survey is not None:
            options = ("--sources", self.survey.write_sources(self.directory / "sources.yml"))
        if "ingest" in self.faults:
            directory = self.directory / "ingest"
            alone = ("--steps", "ingest")
            command = run_command(self.topology, broker.address, directory, 1, *alone)
            ingest = Workers(command, self.directory / "ingest.log")
            running.callback(self._stop, ingest)
            options = ("--steps", "objects,react")
        command = run_command(self.topology, broker.address, self.state, WORKERS, *options)
        workers = Workers(command, self.directory / "workers.log")
        running.callback(self._stop, workers)
        workers.wait_started(WORKERS)
        if ingest is not None:
            ingest.wait_started(1)
        return Scene(
            broker,
            workers,
            self.names,
            self.topology,
            self.state,
            self.dice,
            WORKERS,
            self.lengths,
            ingest,
            None if self.survey is None else self.survey.broker,
        )

    def _stop(self, workers: Workers) -> None:
        code = workers.stop()
        self.result.deaths += workers.deaths()
        if code:
            self.result.wrong.append(f"the workers of {workers.log.path.name} stopped with {code}")

    async def _round(self, scene: Scene, number: int, rounds: int) -> bool:
        last = self.stream.packets * number // rounds
        seconds = (last - self._next + 1) / self.rate
        fault = self.faults[(number - 1) % len(self.faults)]
        disturb = asyncio.create_task(self._disturb(scene, fault, seconds))
        await self._feed(scene, last)
        await disturb
        began = time.monotonic()
        late = await self._quiet(scene, began + self.patience)
        took = time.monotonic() - began
        self.result.catch_up.append(took)
        self.result.rounds = number
        self.result.packets = last
        if late:
            self.result.wrong.append(
                f"round {number} ({fault}): not done after {took:.0f} s: {late[:6]}"
            )
        return self._judge(number, last) and not late

    async def _disturb(self, scene: Scene, fault: str, seconds: float) -> None:
        await asyncio.sleep(self.dice.uniform(0.0, 0.9) * seconds)
        await FAULTS[fault](scene)

    async def _feed(self, scene: Scene, last: int) -> None:
        outbox = Outbox(scene.connection.client_options(), request_timeout_seconds=120.0)
        alerts = outbox
        if self.survey is not None:
            options = self.survey.connection.client_options()
            alerts = Outbox(options, request_timeout_seconds=120.0)
        for one in {outbox, alerts}:
            await one.start()
        try:
            due = time.monotonic()
            while self._next <= last:
                end = min(self._next + _CHUNK, last + 1)
                records = [self._outgoing(one) for one in range(self._next, end)]
                # a survey repeats itself now and then
                again = [
                    self._outgoing(one)
                    for one in range(1, end)
                    if self.dice.random() < _REPEATED * _CHUNK / end
                ]
                mail = []
                while self._due and self._due[0][0] < end:
                    notice = self._due.pop(0)[1]
                    mail.append(
                        Outgoing(
                            self.names.notices,
                            None,
                            record_bytes(notice),
                            0,
                            tuple(encode_origin(notice.where)),
                        )
                    )
                await self._send(outbox, mail)
                await self._send(alerts, records + again)
                self._next = end
                due += _CHUNK / self.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        finally:
            for one in {outbox, alerts}:
                await one.stop()

    async def _send(self, outbox: Outbox, records: list[Outgoing]) -> None:
        while True:
            try:
                await outbox.send(records)
            except ProduceError:
                await asyncio.sleep(1.0)
            else:
                return

    def _outgoing(self, number: int) -> Outgoing:
        record = self.stream.record(number)
        return Outgoing(
            self.names.alerts if self.survey is None else self.survey.topic,
            None,
            record_bytes(record),
            number % PARTITIONS,
            tuple(encode_origin(record.where)),
        )

    async def _quiet(self, scene: Scene, deadline: float) -> list[str]:
        """Wait until everything is done, twice in a row; gives what is not."""
        before: object = None
        while True:
            try:
                late, ends = await self._behind(scene)
                if not late:
                    if self.survey is not None:
                        await self.survey.look()
                    for one in (self.changelog, self.ledger, self.letters):
                        await one.read(scene.connection)
                    late = [f"sweep of {one}" for one in fold.open_sweeps(self.changelog)]
                    late += [
                        f"unsent: {one.reaction.id}"
                        for one in fold.ledger(self.ledger)
                        if len(one.sent) < 2
                    ]
                if not late and ends == before:
                    return []
                before = None if late else ends
            except AmpelstreamError as error:
                late, before = [str(error)], None
            if time.monotonic() > deadline:
                return late
            await asyncio.sleep(0.5)

    async def _behind(self, scene: Scene) -> tuple[list[str], Ends]:
        ours = groups(self.names, PARTITIONS)
        late, ends = await behind(scene.connection, ours)
        if self.survey is not None:
            there, more = await behind(self.survey.connection, self.survey.groups)
            late, ends = late + there, ends | more
        return late, ends

    def _judge(self, number: int, last: int) -> bool:
        result = self.result
        objects, letters = fold.objects(self.changelog), fold.letters(self.letters)
        if self.survey is not None:
            objects, letters = map(self.survey.object, objects), map(self.survey.letter, letters)
        packets = judge_packets(self.stream, last, objects, letters)
        sent = self._sent()
        result.lost |= set(packets.lost)
        result.doubled |= set(packets.doubled)
        result.letters = packets.letters
        result.sent = len(sent.reactions)
        result.sent_twice |= set(sent.doubled)
        for what in packets.strange + sent.strange:
            result.wrong.append(f"round {number}: {what}")
        return packets.ok and sent.ok

    def _sent(self) -> Sent:
        file = self.state / "near.ndjson"
        return judge_sent(file.read_bytes() if file.exists() else b"", fold.ledger(self.ledger))

    def _finish(self, broker: Broker, expected: Sequence[Candidate]) -> None:
        """What may be asked only of the whole stream."""
        self.result.wrong += judge_final(self._sent(), expected)
        asyncio.run(self._read_afresh(Connection(bootstrap=(broker.address,))))
        out = self.directory / "candidates.ndjson"
        export = ampelstream("candidates", "export", self.topology, "--broker", broker.address)
        subprocess.run([*export, "--out", str(out)], check=True, capture_output=True)
        found = out.read_bytes()
        if self.survey is not None:
            rows = map(msgspec.json.decode, found.splitlines())
            found = b"".join(encode_lines(map(self.survey.row, rows)))
        wanted = b"".join(encode_lines(map(candidate_row, expected)))
        (self.directory / "expected.ndjson").write_bytes(wanted)
        self.result.candidates = found.count(b"\n")
        self.result.equal = found == wanted

    async def _read_afresh(self, connection: Connection) -> None:
        """See that a whole restore gives what we have folded so far: compaction loses nothing."""
        for known in (self.changelog, self.ledger):
            fresh = fold.Fold(known.topic, PARTITIONS)
            await fresh.read(connection)
            if fresh.values != known.values:
                self.result.wrong.append(f"{known.topic} reads differently from its beginning")
