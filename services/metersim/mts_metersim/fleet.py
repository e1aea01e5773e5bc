"""What a fleet file says: the meters to simulate (format: this service's README.md)."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mts_metersim.dlms_manners import keys_of
from mts_metersim.families import ELSTER_TYPES, METER_TYPES, Family, family_of
from mts_metersim.places import place_of

KINDS = ("house", "shop", "factory")
CHANNELS = ("import", "export", "q1", "q2", "q3", "q4", "va")
STORED_CHANNELS = CHANNELS[:6]

_Spec = TypeVar("_Spec")


class FleetError(ValueError):
    """The fleet file does not describe meters; the text names the meter by its index and the field."""


class FaultKind(StrEnum):
    """What a meter can be told to do wrong; `Fault.amount` is given in brackets."""

    SILENT = "silent"
    SILENT_AFTER = "silent_after"  # bytes sent before it falls silent
    SLOW = "slow"  # milliseconds per byte
    LATENCY = "latency"  # milliseconds before each reply
    WRONG_BCC = "wrong_bcc"  # how many block checks are spoilt; 0 = all
    DROPS_LINE = "drops_line"  # bytes sent before it hangs up
    WRONG_SERIAL = "wrong_serial"
    REFUSES_PASSWORD = "refuses_password"  # noqa: S105 - the name of a fault
    GARBAGE = "garbage"
    ECHO = "echo"
    ENDLESS = "endless"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a meter; `once` lets drops_line happen in the first call only."""

    kind: FaultKind
    amount: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """An interruption that recurs: on each UTC day whose number since 1970-01-01 is a multiple of `every_days`,
    from `start_minute` of that day for `minutes` (multiples of 5, so that energies stay whole watt hours)."""

    every_days: int
    start_minute: int
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class ClockSpec:
    """The meter's own clock: its zone, seconds ahead of true time at the start, drift since the start."""

    zone: str = "UTC"
    offset_seconds: int = 0
    drift_ppm: int = 0


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """The site behind the meter."""

    seed: int
    kind: str = "house"


@dataclass(frozen=True, slots=True)
class DlmsOptions:
    """How a DLMS/COSEM meter differs from its type's usual behaviour; 0 and "" = as the type does."""

    transmit: int = 0
    receive: int = 0
    window: int = 0
    pdu: int = 0
    bare_ua: bool = False
    deviation: str = "normal"
    clock_status: bool = True
    selection: str = "taken"
    range_deviation: str = "any"
    column_list: str = "any"
    nulls: str = ""
    lifo: bool = False
    irregular_rows: bool = False
    start_stamps: bool = False
    release: str = "answered"
    last_counter: int = 0
    hides_counter: bool = False


@dataclass(frozen=True, slots=True)
class EdmiOptions:
    """How an EDMI meter differs from its usual behaviour."""

    not_ready: int = 0
    duplicates: bool = False
    bare_refusal: bool = False
    start_stamps: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How this meter differs from its type's usual behaviour."""

    period_minutes: int = 30
    parity: str = "even"
    channels: tuple[str, ...] = STORED_CHANNELS
    profile: str = ""
    identification: str = ""
    readout: tuple[str, ...] = ()
    refusal: str = ""
    ack_seconds: int = 10
    inactivity_seconds: int = 90
    access_seconds: int = 300
    ready_polls: int = 2
    status_word: int = 0
    period_nibble: int = 9
    ct: tuple[int, ...] = (100, 5)
    vt: tuple[int, ...] = (1, 1)
    power_cuts: Rule | None = None
    gaps: Rule | None = None
    clock_sets: Rule | None = None
    empty_survey: bool = False
    dlms: DlmsOptions = DlmsOptions()
    edmi: EdmiOptions = EdmiOptions()


@dataclass(frozen=True, slots=True)
class Meter:
    """One simulated meter. `line` groups meters on one port; `special` labels what is unusual but no fault."""

    meter_type: str
    serial_number: str
    load: LoadSpec
    port: int = 0
    line: str = ""
    outstation_address: str = ""
    password: str = field(default="", repr=False)
    clock: ClockSpec = ClockSpec()
    installed_days_ago: int = 45
    options: Options = Options()
    faults: tuple[Fault, ...] = ()
    special: str | None = None

    def fault(self, kind: FaultKind) -> Fault | None:
        """This meter's fault of that kind, if it has it."""
        return next((fault for fault in self.faults if fault.kind is kind), None)

    @property
    def label(self) -> str | None:
        """What the ready file says under "fault": the first fault, else what is special, else None."""
        return self.faults[0].kind.value if self.faults else self.special

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.clock.zone)


def load_fleet(path: Path) -> list[Meter]:
    """The meters of a fleet file. Raises FleetError, OSError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise FleetError(f"{path} is not JSON: {fault}") from fault
    if not isinstance(raw, list):
        raise FleetError(f"{path} must hold a JSON list of meters")
    return _separate_lines([_meter(item, f"meter {index}") for index, item in enumerate(raw)])


def dump_fleet(meters: Sequence[Meter]) -> str:
    """The fleet file's text; fields that have their default are left out."""
    return json.dumps([_plain(meter) for meter in meters], indent=1) + "\n"


def _separate_lines(meters: list[Meter]) -> list[Meter]:
    """Gives each meter a line: the one it names, else that of its port, else one of its own."""
    named = [
        replace(m, line=m.line or (f"port {m.port}" if m.port else f"meter {index}")) for index, m in enumerate(meters)
    ]
    places = Counter((meter.line, place_of(meter)) for meter in named)
    for (line, (_, address)), meters_there in places.items():
        if meters_there > 1:
            raise FleetError(f"line {line!r} has {meters_there} meters with address {address!r}")
    protocols: dict[str, set[Family]] = {}
    for meter in named:
        protocols.setdefault(meter.line, set()).add(family_of(meter.meter_type))
    for line, families in protocols.items():
        if Family.WRAPPER in families and len(families) > 1:
            raise FleetError(
                f"line {line!r} has meters with the TCP wrapper, which can share it with no other protocol"
            )
    return named


def _meter(raw: object, where: str) -> Meter:
    item = _object(raw, where)
    nested: dict[str, Any] = {
        "clock": _built(ClockSpec, item.get("clock", {}), f"{where}.clock"),
        "load": _built(LoadSpec, item.get("load", {}), f"{where}.load"),
        "options": _options(item.get("options", {}), f"{where}.options"),
        "faults": tuple(_fault(fault, f"{where}.faults[{i}]") for i, fault in enumerate(item.get("faults", []))),
    }
    plain = {name: value for name, value in item.items() if name not in nested}
    meter = replace(_built(Meter, {**plain, "load": None}, where), **nested)
    _check(meter, where)
    return meter


def _check(meter: Meter, where: str) -> None:
    options = meter.options
    rules = [rule for rule in (options.power_cuts, options.gaps, options.clock_sets) if rule is not None]
    faults = {
        "meterType": meter.meter_type in METER_TYPES,
        "serialNumber": re.fullmatch(r"[!-'*-~ ]{1,16}", meter.serial_number) is not None,
        "load.kind": meter.load.kind in KINDS,
        "clock.zone": _known_zone(meter.clock.zone),
        "outstationAddress": meter.meter_type in METER_TYPES and _known_place(meter),
        "installedDaysAgo": meter.installed_days_ago >= 0,
        "options.periodMinutes": options.period_minutes in (15, 30, 60),
        "options.parity": options.parity in ("even", "none"),
        "options.channels": bool(options.channels) and set(options.channels) <= set(CHANNELS),
        "options.profile": options.profile in ("", "demand", "energy", "cumulative"),
        "options.refusal": options.refusal in ("", "nak", "b0", "error"),
        "password": _right_form(meter),
        "options (rules: days at least 1, minutes in steps of 5)": all(
            rule.every_days > 0 and rule.start_minute % 5 == 0 and rule.minutes % 5 == 0 for rule in rules
        ),
    }
    faults |= {
        f"options.dlms.{name}": getattr(options.dlms, name) in choices for name, choices in _DLMS_CHOICES.items()
    }
    wrong = [name for name, right in faults.items() if not right]
    if wrong:
        raise FleetError(f"{where}: bad {', '.join(wrong)}")


_DLMS_CHOICES = {
    "deviation": ("normal", "inverted", "unknown"),
    "selection": ("taken", "refused", "ignored"),
    "range_deviation": ("any", "refused", "required", "ignored"),
    "column_list": ("any", "refused", "required"),
    "nulls": ("", "none", "clock", "all"),
    "release": ("answered", "ignored"),
}


def _right_form(meter: Meter) -> bool:
    """Whether the password is one that a host can give."""
    if meter.meter_type in ELSTER_TYPES:
        return len(meter.password) in (0, 8)
    if meter.meter_type in METER_TYPES and family_of(meter.meter_type) is Family.EDMI:
        return not meter.password or re.fullmatch(r"[!-+\--~]+,[!-~]+", meter.password) is not None
    if meter.password.startswith("gmac:"):
        return keys_of(meter.password) is not None
    return meter.password.isascii()


def _known_place(meter: Meter) -> bool:
    try:
        place_of(meter)
    except ValueError:
        return False
    return True


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def _options(raw: object, where: str) -> Options:
    item = dict(_object(raw, where))
    for rule in ("powerCuts", "gaps", "clockSets"):
        if item.get(rule) is not None:
            item[rule] = _built(Rule, item[rule], f"{where}.{rule}")
    if "dlms" in item:
        item["dlms"] = _built(DlmsOptions, item["dlms"], f"{where}.dlms")
    if "edmi" in item:
        item["edmi"] = _built(EdmiOptions, item["edmi"], f"{where}.edmi")
    return _built(Options, item, where)


def _fault(raw: object, where: str) -> Fault:
    fault = _built(Fault, raw, where)
    try:
        return replace(fault, kind=FaultKind(fault.kind))
    except ValueError as unknown:
        raise FleetError(f"{where}: unknown kind {fault.kind!r}") from unknown


def _object(raw: object, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise FleetError(f"{where} must be a JSON object")
    return raw


def _built(kind: type[_Spec], raw: object, where: str) -> _Spec:
    """An object of camelCase keys as a dataclass, each value of the type of its default."""
    known = {_camel(f.name): f for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in _object(raw, where).items():
        if name not in known:
            raise FleetError(f"{where}: unknown field {name!r}")
        target = known[name]
        wanted = _wanted(target.default, target.type)
        values[target.name] = tuple(value) if isinstance(value, list) else value
        if wanted is not None and type(values[target.name]) is not wanted:
            raise FleetError(f"{where}.{name} must be {wanted.__name__}")
    try:
        return kind(**values)
    except TypeError as missing:
        raise FleetError(f"{where}: {missing}") from missing


def _wanted(default: object, annotation: object) -> type | None:
    if annotation in (int, str):
        return annotation if isinstance(annotation, type) else None
    return None if default is MISSING or default is None else type(default)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _plain(value: Any) -> dict[str, Any]:
    """The reverse of `_built`."""
    found = {}
    for f in fields(value):
        held = getattr(value, f.name)
        if held == f.default:
            continue
        if hasattr(held, "__dataclass_fields__"):
            held = _plain(held)
        elif f.name == "faults":
            held = [_plain(fault) for fault in held]
        found[_camel(f.name)] = held
    return found
