"""`python -m fault_harness.soak MINUTES`: random faults under load, round after round, each followed by the checker.

Prints the seed (MTS_FAULT_SEED gives one) and, as Jepsen does, what became of the clients' calls and tests.
"""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from fault_harness.checker import Checker
from fault_harness.events import publish
from fault_harness.system import System, down, locked, run_apart, seed
from fault_harness.workload import Workload
from mts_common import topology
from mts_stack.rabbitmq import MEMORY
from mts_stack.servers import servers_for_tests
from mts_stack.services import SERVICES

LONGEST_FAULT = 6.0
FAULTS_IN_ROUND = 3
DRAIN_SECONDS = 180.0
POISONED = (
    topology.SCHEDULER_REQUESTS,
    topology.SCHEDULER_ATTEMPTS,
    topology.RESULTS_REPORTS,
    topology.RESULTS_OUTCOMES,
)
TABLES = ("gateway.test", "gateway.outbox", "scheduler.job", "scheduler.call", "results.status", "results.attempt")
STEPS = (
    "gateway.accepting",
    "gateway.accepted",
    "gateway.cancelling",
    "relay.confirmed",
    "scheduler.granted",
    "scheduler.decided",
    "scheduler.settling",
    "dialler.granted",
    "dialler.ringing",
    "dialler.reading",
    "dialler.received",
    "dialler.reported",
    "dialler.finished",
    "results.storing",
    "results.stored",
)
# Every fault of a round may cost a test a try.
SETTINGS = {"MTS_MAX_TRIES": "12"}


class Soak:
    """Faults at random; `done` counts them by name."""

    def __init__(self, system: System, choice: random.Random) -> None:
        self._system = system
        self._choice = choice
        self.done: Counter[str] = Counter()
        self._faults: Mapping[str, Callable[[], None]] = {
            "service killed": self._kill,
            "service killed at a step": self._kill_at_step,
            "service stopped for a while": self._freeze,
            "service restarted": self._restart,
            "broker's connections cut": lambda: self._cut("amqp"),
            "database's connections cut": lambda: self._cut("postgres"),
            "broker's connections stuck": lambda: self._stick("amqp"),
            "database's connections stuck": lambda: self._stick("postgres"),
            "broker killed": self._broker_down,
            "database killed": self._database_down,
            "broker's memory alarm": self._raise_alarm,
            "queue deleted": self._delete_queue,
            "message that cannot be read": self._poison,
            "table locked": self._lock,
            "second scheduler killed": self._kill_another,
        }

    def round(self, number: int, load_seed: int) -> Counter[str]:
        """Load with some faults, and then the checker. Raises AssertionError."""
        workload = Workload(self._system, load_seed)
        names = self._choice.choices(list(self._faults), k=self._choice.randint(1, FAULTS_IN_ROUND))
        if "queue deleted" in names:  # poison could be lost with its queue, and would be missed among the dead letters
            names = [name for name in names if name != "message that cannot be read"]
        with workload.running():
            for name in names:
                self._pause(LONGEST_FAULT / 2)
                self._faults[name]()
                self.done[name] += 1
            self._pause(LONGEST_FAULT / 2)
        counts = Checker(self._system).verify(workload, seconds=DRAIN_SECONDS)
        print(f"round {number}: {', '.join(names)}: {counts}", flush=True)
        return Counter(vars(counts))

    def _pause(self, longest: float) -> None:
        time.sleep(self._choice.uniform(0.2, longest))

    def _service(self) -> str:
        return self._choice.choice(SERVICES)

    def _kill(self) -> None:
        name = self._service()
        self._system.stack.services.kill(name)
        self._pause(LONGEST_FAULT)
        self._begin(name)

    def _begin(self, name: str) -> None:
        """Not waited for: what it needs to be ready may be down, too."""
        self._system.stack.services.process(name).start()

    def _kill_at_step(self) -> None:
        self._system.failpoints.arm(self._choice.choice(STEPS))

    def _freeze(self) -> None:
        process = self._system.stack.services.process(self._service())
        if not process.running:
            return
        process.send(signal.SIGSTOP)
        self._pause(LONGEST_FAULT)
        process.send(signal.SIGCONT)

    def _restart(self) -> None:
        name = self._service()
        self._system.stack.services.stop(name)
        self._begin(name)

    def _cut(self, server: str) -> None:
        (self._system.amqp if server == "amqp" else self._system.postgres).cut()

    def _stick(self, server: str) -> None:
        proxy = self._system.amqp if server == "amqp" else self._system.postgres
        if self._choice.random() < 0.5:
            proxy.stall()
        else:
            proxy.swallow()
        self._pause(LONGEST_FAULT)
        proxy.resume()

    def _broker_down(self) -> None:
        with down(self._system.servers.broker):
            self._pause(LONGEST_FAULT)

    def _database_down(self) -> None:
        with down(self._system.servers.database):
            self._pause(LONGEST_FAULT)

    def _raise_alarm(self) -> None:
        self._system.servers.broker.limit_memory("1MB")
        try:
            self._pause(LONGEST_FAULT)
        finally:
            self._system.servers.broker.limit_memory(MEMORY)

    def _delete_queue(self) -> None:
        self._system.management.delete_queue(self._choice.choice(topology.EVENT_QUEUES).name)

    def _poison(self) -> None:
        queue = self._choice.choice(POISONED)
        self._system.poison += 1
        body = b"not JSON %d" % self._system.poison
        run_apart(publish(self._system, [(queue.kinds[0].kind, body)], queue.name))

    def _lock(self) -> None:
        with locked(self._system, self._choice.choice(TABLES)):
            self._pause(LONGEST_FAULT)

    def _kill_another(self) -> None:
        second = self._system.another("scheduler")
        self._pause(LONGEST_FAULT)
        second.kill()


def main(minutes: float) -> int:
    """0 if every invariant held in every round."""
    chosen = seed()
    print(f"MTS_FAULT_SEED={chosen}", flush=True)
    choice = random.Random(chosen)  # noqa: S311 - chance, not a secret
    directory = Path(tempfile.mkdtemp(prefix="mts-soak-"))
    directory.chmod(0o711)
    servers = servers_for_tests(directory)
    totals: Counter[str] = Counter()
    deadline, rounds = time.monotonic() + 60 * minutes, 0
    try:
        servers.start()
        with System(servers, directory / "system", settings=SETTINGS) as system:
            soak = Soak(system, choice)
            while time.monotonic() < deadline:
                rounds += 1
                try:
                    totals.update(soak.round(rounds, choice.randrange(10**9)))
                except Exception:
                    print(f"round {rounds} failed; logs: {directory}\n{traceback.format_exc()}", flush=True)
                    return 1
    finally:
        servers.remove()
        print(f"{rounds} rounds, {dict(totals)}", flush=True)
    print(f"faults: {dict(soak.done)}")
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
