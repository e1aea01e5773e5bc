"""What a plan file says of a modem bank: its modems, and what happens when a number is dialled (format: README.md)."""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from mts_metersim.modem_hayes import Radio

DEFAULT_BIT_RATE = 9600

_Spec = TypeVar("_Spec", "ModemSpec", "Subscriber")
_NUMBER = re.compile(r"\+?[0-9]{3,20}")


class PlanError(ValueError):
    """The plan file does not describe a bank; the text names the modem or number, and the field."""


class Outcome(StrEnum):
    """What becomes of a dialled number."""

    CONNECT = "connect"
    BUSY = "busy"
    NO_CARRIER = "noCarrier"
    NO_ANSWER = "noAnswer"
    NO_DIAL_TONE = "noDialTone"
    DELAYED = "delayed"
    BLACKLISTED = "blacklisted"
    ERROR = "error"
    SILENCE = "silence"  # the modem never says how it ended


RESULTS: Mapping[Outcome, str] = {
    Outcome.BUSY: "BUSY",
    Outcome.NO_CARRIER: "NO CARRIER",
    Outcome.NO_ANSWER: "NO ANSWER",
    Outcome.NO_DIAL_TONE: "NO DIALTONE",
    Outcome.DELAYED: "DELAYED",
    Outcome.BLACKLISTED: "BLACKLISTED",
    Outcome.ERROR: "ERROR",
}


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A number: `meter` is a serial number of the fleet, `to` a host:port elsewhere; one of them where it connects.

    `seconds` until it answers or fails; `text` follows CONNECT; `cause` is what +CEER says of the end; before CONNECT
    come `garbage_bytes` of noise; after `drop_after_bytes` sent by the meter the line drops.
    """

    outcome: Outcome = Outcome.CONNECT
    meter: str = ""
    to: str = ""
    seconds: float = 0.0
    text: str = "9600"
    cause: str = ""
    garbage_bytes: int = 0
    drop_after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModemSpec:
    """One modem. `dtr_wired` false: it does not notice that the host lets go; `mute`: it answers nothing."""

    name: str
    kind: str = "pstn"
    signal: int = 18
    registration: int = 1
    sim: str = "READY"
    refuses: tuple[str, ...] = ()
    dtr_wired: bool = True
    mute: bool = False

    @property
    def radio(self) -> Radio | None:
        return Radio(self.signal, self.registration, self.sim) if self.kind == "gsm" else None


@dataclass(frozen=True, slots=True)
class Plan:
    """`bit_rate` paces both directions of a call at ten bits per byte; 0 = no pacing."""

    modems: tuple[ModemSpec, ...]
    numbers: Mapping[str, Subscriber]
    bit_rate: int = DEFAULT_BIT_RATE


def load_plan(path: Path) -> Plan:
    """The bank of a plan file. Raises PlanError, OSError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise PlanError(f"{path} is not JSON: {fault}") from fault
    item = _object(raw, "the plan")
    modems = tuple(_built(ModemSpec, each, f"modem {at}") for at, each in enumerate(item.get("modems", [])))
    numbers = {
        number: _built(Subscriber, each, f"number {number}")
        for number, each in _object(item.get("numbers"), "numbers").items()
    }
    plan = Plan(modems, numbers, item.get("bitRate", DEFAULT_BIT_RATE))
    _check(plan)
    return plan


def dump_plan(plan: Plan) -> str:
    """The plan file's text; fields that have their default are left out."""
    numbers = {number: _plain(subscriber) for number, subscriber in plan.numbers.items()}
    modems = [_plain(modem) for modem in plan.modems]
    return json.dumps({"bitRate": plan.bit_rate, "modems": modems, "numbers": numbers}, indent=1) + "\n"


def _check(plan: Plan) -> None:
    names = [modem.name for modem in plan.modems]
    wrong = [f"number {number}" for number in plan.numbers if not _NUMBER.fullmatch(number)]
    wrong += [f"modem {modem.name}: kind" for modem in plan.modems if modem.kind not in ("pstn", "gsm")]
    wrong += [f"modem name {name!r}" for name in names if not re.fullmatch(r"[A-Za-z0-9_-]+", name)]
    if len(set(names)) < len(names) or not names:
        wrong.append("modems: each needs a name of its own")
    if type(plan.bit_rate) is not int or plan.bit_rate < 0:
        wrong.append("bitRate")
    for number, subscriber in plan.numbers.items():
        if subscriber.outcome is Outcome.CONNECT and bool(subscriber.meter) == bool(subscriber.to):
            wrong.append(f"number {number}: meter or to")
    if wrong:
        raise PlanError(f"bad {', '.join(wrong)}")


def _object(raw: object, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise PlanError(f"{where} must be a JSON object")
    return raw


def _built(kind: type[_Spec], raw: object, where: str) -> _Spec:
    """A JSON object of camelCase keys as a dataclass, each value of the type of its default."""
    known = {_camel(each.name): each for each in fields(kind)}
    values: dict[str, Any] = {}
    for name, given in _object(raw, where).items():
        if name not in known:
            raise PlanError(f"{where}: unknown field {name!r}")
        default = known[name].default
        wanted = str if default is MISSING else type(default)
        try:
            values[known[name].name] = _as(wanted, given)
        except ValueError as fault:
            raise PlanError(f"{where}.{name} must be {wanted.__name__}") from fault
    try:
        return kind(**values)
    except TypeError as missing:
        raise PlanError(f"{where}: {missing}") from missing


def _plain(spec: ModemSpec | Subscriber) -> dict[str, Any]:
    """The reverse of `_built`."""
    held = {each: getattr(spec, each.name) for each in fields(spec)}
    return {_camel(each.name): value for each, value in held.items() if value != each.default}


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda part: part[1].upper(), name)


def _as(wanted: type, given: object) -> object:
    """Raises ValueError."""
    if wanted is tuple and isinstance(given, list):
        return tuple(map(str, given))
    if wanted is float and type(given) is int:
        return float(given)
    if wanted is Outcome:
        return Outcome(str(given))
    if type(given) is not wanted:
        raise ValueError(given)
    return given
