"""Clients of the API that order, repeat and cancel tests at random, and remember what they were told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx

from fault_harness.system import System, until

CALL_SECONDS = 12.0
RESOLVE_SECONDS = 120.0
AGAIN_SECONDS = 0.2

# Meters whose tests end soon: the others take all their tries to be found out.
QUICK_FAULTS = ("latency", "refuses_password", "drops_line", "wrong_serial", "wrong_bcc")


class Said(StrEnum):
    """What a client knows of a call that it has made."""

    OK = "ok"
    FAILED = "failed"  # refused: it has had no effect
    UNKNOWN = "unknown"  # no answer, or one that leaves it open


@dataclass
class Order:
    """A test or batch that was asked for under an Idempotency-Key, which is its tests' requestReference too."""

    key: str
    tests: list[dict[str, Any]]
    as_batch: bool
    answer: int | None = None
    token: str | None = None  # None = that of the stack's own client
    cancelled: bool = False  # a cancel was tried
    answers: set[int] = field(default_factory=set)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The tests as they are asked for."""
        return [{**test, "requestReference": self.key} for test in self.tests]


class Workload:
    """Some clients at work. Deterministic for a seed but for what the threads' timing adds."""

    def __init__(self, system: System, seed: int, clients: int = 3) -> None:
        self.system = system
        self.seed = seed
        self.orders: list[Order] = []
        self.said: Counter[Said] = Counter()
        self.refusals: list[str] = []
        self._clients = clients
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._made = 0
        fleet = system.stack.fleet.ready()
        self._healthy = [meter for meter in fleet if meter["fault"] is None]
        self._special = [meter for meter in fleet if meter["fault"] in QUICK_FAULTS]
        self._name = f"{seed:x}-{time.monotonic_ns():x}"

    @contextmanager
    def running(self, calls: int = 400, pause: float = 0.6) -> Iterator[None]:
        """While this lasts the clients make up to that many calls, each with a pause of up to `pause` seconds."""
        threads = self._start(calls, pause)
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(CALL_SECONDS * 3)

    def run(self, calls: int, pause: float = 0.1) -> None:
        """The clients make that many calls."""
        for thread in self._start(calls, pause):
            thread.join()

    def _start(self, calls: int, pause: float) -> list[threading.Thread]:
        each = -(-calls // self._clients)
        threads = [
            threading.Thread(target=self._client, args=(number, each, pause), name=f"client {number}")
            for number in range(self._clients)
        ]
        self._stop.clear()
        for thread in threads:
            thread.start()
        return threads

    def order(self, meter: Mapping[str, Any], token: str | None = None, **fields: Any) -> Order:
        """One test, ordered once, by another client than the stack's own if its token is given."""
        return self._place_once(Order(self._key(), [self.body(meter, **fields)], as_batch=False, token=token))

    def order_under_way(
        self, meter: Mapping[str, Any], dialled_as: Mapping[str, Any] | None = None, **fields: Any
    ) -> Order:
        """One test, once its meter has been spoken to; `dialled_as` is what is ordered if not `meter` itself."""
        before = len(self.system.calls_of(meter, "sign_on"))
        order = self.order(dialled_as or meter, **fields)
        until(lambda: len(self.system.calls_of(meter, "sign_on")) > before, "the call is under way")
        return order

    def batch(self, tests: list[dict[str, Any]]) -> Order:
        """A batch, ordered once."""
        return self._place_once(Order(self._key(), tests, as_batch=True))

    def unplaced(self, tests: list[dict[str, Any]]) -> Order:
        """A batch that the test itself is to ask for first; it is asked for again when the faults are over."""
        order = Order(self._key(), tests, as_batch=True)
        self.orders.append(order)
        return order

    def repeat(self, order: Order) -> None:
        """The order once more, under its key."""
        self._place_once(order)

    def _place_once(self, order: Order) -> Order:
        with self.system.stack.api_client(order.token or self.system.stack.token) as http:
            self._place(http, order)
        return order

    def cancel_once(self, order: Order) -> Said:
        """Ask once for the cancel of an order."""
        with self.system.stack.api_client(self.system.stack.token) as http:
            return self._cancel(http, order)

    def resolve(self) -> None:
        """Repeat what is unknown until it is answered, and cancel what would wait for a run window."""
        deadline = time.monotonic() + RESOLVE_SECONDS
        for order in self.orders:
            with self.system.stack.api_client(order.token or self.system.stack.token) as http:
                while order.answer is None and self._place(http, order) is Said.UNKNOWN:
                    _wait(deadline, f"the order {order.key} is not answered")
                waits = any(not test["immediate"] for test in order.tests)
                while waits and order.answer is not None and self._cancel(http, order) is Said.UNKNOWN:
                    _wait(deadline, f"the cancel of {order.key} is not answered")

    # --- a client

    def _client(self, number: int, calls: int, pause: float) -> None:
        choice = random.Random(f"{self.seed}:{number}")  # noqa: S311 - chance, not a secret
        with self.system.stack.api_client(self.system.stack.token) as http:
            http.timeout = httpx.Timeout(CALL_SECONDS)
            for _ in range(calls):
                self._act(http, choice)
                if self._stop.wait(choice.uniform(0, pause)):
                    return

    def _act(self, http: httpx.Client, choice: random.Random) -> None:
        with self._lock:
            mine = list(self.orders)
        action = choice.choices(["test", "batch", "repeat", "cancel"], [6, 1, 2, 2])[0]
        if action == "repeat" and mine:
            self._place(http, choice.choice(mine))
        elif action == "cancel" and mine:
            self._cancel(http, choice.choice(mine))
        elif action == "batch":
            count = choice.randint(2, 4)
            tests = [self.body(self._some(choice), immediate=choice.random() < 0.7) for _ in range(count)]
            self._place(http, Order(self._key(), tests, as_batch=True))
        else:
            fields = {"remoteAddress": self.system.trespass.address} if choice.random() < 0.03 else {}
            body = self.body(self._some(choice), immediate=choice.random() < 0.9, **fields)
            self._place(http, Order(self._key(), [body], as_batch=False))

    def _some(self, choice: random.Random) -> dict[str, Any]:
        return choice.choice(self._special if choice.random() < 0.15 else self._healthy)

    def _key(self) -> str:
        with self._lock:
            self._made += 1
            return f"{self._name}-{self._made}"

    def body(self, meter: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """What asks for a test of a meter at once; `fields` go over what the fleet says."""
        names = ("meterType", "remoteAddress", "outstationAddress", "serialNumber", "password")
        return {"immediate": True, **{name: meter[name] for name in names if meter[name]}, **fields}

    def _place(self, http: httpx.Client, order: Order) -> Said:
        with self._lock:
            if order not in self.orders:
                self.orders.append(order)
        path, body = ("/batch-request", order.bodies) if order.as_batch else ("/test-request", order.bodies[0])
        said, answer = self._call(http, "POST", path, body, {"Idempotency-Key": order.key})
        if said is Said.OK:
            order.answer = int(answer["batchId" if order.as_batch else "testId"])
            order.answers.add(order.answer)
        return said

    def _cancel(self, http: httpx.Client, order: Order) -> Said:
        if order.answer is None:
            return Said.FAILED
        order.cancelled = True
        what = "batch" if order.as_batch else "test"
        said, _ = self._call(http, "DELETE", f"/{what}-cancel", {f"{what}Id": order.answer}, {})
        return said

    def _call(
        self, http: httpx.Client, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[Said, dict[str, Any]]:
        said, answer = Said.UNKNOWN, {}
        try:
            reply = http.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            pass
        else:
            if reply.status_code == httpx.codes.OK:
                said, answer = Said.OK, reply.json()
            elif reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                said = Said.FAILED
                self.refusals.append(f"{method} {path}: {reply.status_code} {reply.text}")
            elif not _is_told(reply):
                self.refusals.append(f"{method} {path}: {reply.status_code} {reply.text}")
        with self._lock:
            self.said[said] += 1
        return said, answer


def _is_told(reply: httpx.Response) -> bool:
    """Whether a server's own failure says what it is about and when to ask again."""
    unavailable = reply.status_code == httpx.codes.SERVICE_UNAVAILABLE
    return unavailable and bool(reply.json().get("details")) and "Retry-After" in reply.headers


def _wait(deadline: float, late: str) -> None:
    if time.monotonic() > deadline:
        raise AssertionError(late)
    time.sleep(AGAIN_SECONDS)
