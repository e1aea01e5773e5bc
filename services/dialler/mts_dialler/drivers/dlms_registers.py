"""The registers of a DLMS meter: which are asked for, and how they stand in a report (dlms-cosem.md, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mts_common.messages import RegisterCategory, RegisterReading
from mts_dialler.drivers.dlms_objects import NOT_THERE, Item, Objects
from mts_dialler.drivers.dlms_time import MeterTime
from mts_dialler.drivers.obis import define
from mts_dialler.drivers.survey import shown
from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.services import Answer, Denied
from mts_dialler.protocols.cosem.units import ScalerUnit, scaler_unit
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.iec62056_21.data_sets import Code

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER = 1, 3, 4, 5
CAPTURE_TIME = 5  # of an extended register
_SCALERS = {REGISTER: 3, EXTENDED_REGISTER: 3, DEMAND_REGISTER: 4}
_FLOWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15)
_DEMANDS = (1, 2, 3, 4, 9, 10)
_INSTANTANEOUS = ((1,), (2,), (3,), (4,), (9,), (21, 41, 61), (31, 51, 71), (32, 52, 72), (13,), (33, 53, 73), (14,))
_CHANNELS = (0, 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A register, by the last three groups of its logical name. It is asked for if the meter has the one `after`."""

    name: str
    class_id: int
    after: str = ""


def _wanted() -> Iterator[Wanted]:
    for flow in _FLOWS:
        yield Wanted(f"{flow}.8.0", REGISTER)
        yield from _tariffs(f"{flow}.8", REGISTER)
    for flow in _DEMANDS:
        yield Wanted(f"{flow}.6.0", EXTENDED_REGISTER)
        yield from _tariffs(f"{flow}.6", EXTENDED_REGISTER)
    for first, *others in _INSTANTANEOUS:
        yield Wanted(f"{first}.7.0", REGISTER)
        for other in others:
            yield Wanted(f"{other}.7.0", REGISTER, f"{first}.7.0")


def _tariffs(register: str, class_id: int) -> Iterator[Wanted]:
    """Eight: the first is asked for after the total, 2 to 4 after the first, the others after the fourth."""
    for tariff in range(1, 9):
        before = 0 if tariff == 1 else 1 if tariff <= 4 else 4
        yield Wanted(f"{register}.{tariff}", class_id, f"{register}.{before}")


WANTED = tuple(_wanted())
COUNTERS = {"0.0.96.7.21": "Power Failures", "1.0.0.1.0": "Reset Counter"}
"""Data objects that hold a number."""


class Registers:
    """Reads the registers that the meter has. `unread` says what it has and would not give."""

    def __init__(self, objects: Objects) -> None:
        self.unread: list[str] = []
        self._objects = objects
        self._scales: dict[tuple[int, str], ScalerUnit | None] = {}
        self._found: dict[Wanted, tuple[str, Answer]] = {}  # logical name and value

    async def scales(self, wanted: Iterable[tuple[int, str]]) -> Mapping[tuple[int, str], ScalerUnit | None]:
        """Scaler and unit of objects by class and logical name, each asked for once; None where the meter has none."""
        items = {
            (class_id, obis): Item(class_id, obis, _SCALERS[class_id])
            for class_id, obis in wanted
            if class_id in _SCALERS and (class_id, obis) not in self._scales
        }
        for key, answer in zip(items, await self._objects.read(list(items.values())), strict=True):
            self._scales[key] = None if isinstance(answer, Denied) else scaler_unit(answer)
        return self._scales

    async def read(self, time: MeterTime, now: Callable[[], datetime]) -> list[RegisterReading]:
        """All there are, in the order of `WANTED`, read at what `now` says when the last is in."""
        for channel in _CHANNELS:
            await self._read_values(channel)
            if self._found and not self._objects.listed:
                break  # a meter that must be asked uses one channel for all
        await self.scales((wanted.class_id, obis) for wanted, (obis, _) in self._found.items())
        times = await self._times()
        read_at = now()
        readings: list[RegisterReading] = []
        for wanted in WANTED:
            if wanted in self._found:
                readings += self._reading(wanted, times.get(wanted), time, read_at)
        return readings

    async def _read_values(self, channel: int) -> None:
        """Registers that follow others are asked for once those are known to be there."""
        asked: set[Wanted] = set(self._found)
        while True:
            due = {wanted: f"1.{channel}.{wanted.name}" for wanted in WANTED if wanted not in asked}
            due = {wanted: obis for wanted, obis in due.items() if self._is_due(wanted, obis)}
            if not due:
                return
            asked.update(due)
            answers = await self._objects.read([Item(wanted.class_id, obis) for wanted, obis in due.items()])
            for (wanted, obis), answer in zip(due.items(), answers, strict=True):
                if not isinstance(answer, Denied):
                    self._found[wanted] = obis, answer
                elif answer.code not in NOT_THERE:
                    self.unread.append(f"{obis}: {answer}")

    def _is_due(self, wanted: Wanted, obis: str) -> bool:
        if not self._objects.holds(Item(wanted.class_id, obis)):
            return False
        return not wanted.after or any(found.name == wanted.after for found in self._found)

    async def _times(self) -> dict[Wanted, Answer]:
        """When the maxima were reached."""
        maxima = {wanted: obis for wanted, (obis, _) in self._found.items() if wanted.class_id == EXTENDED_REGISTER}
        items = [Item(EXTENDED_REGISTER, obis, CAPTURE_TIME) for obis in maxima.values()]
        return dict(zip(maxima, await self._objects.read(items), strict=True))

    def _reading(
        self, wanted: Wanted, reached: Answer, time: MeterTime, read_at: datetime
    ) -> Iterator[RegisterReading]:
        obis, answer = self._found[wanted]
        raw, scale = number(answer), self._scales[wanted.class_id, obis]
        if raw is None:
            return
        if scale is None:
            self.unread.append(f"{obis}: no scaler and unit")
            return
        value, units = scale.apply(raw)
        name, category = named(wanted.name)
        yield RegisterReading(category=category, name=name, number=value, units=units, read_at=read_at)
        moment = _moment(reached, time)
        if moment is not None:
            yield RegisterReading(category=category, name=f"{name} Time", text=shown(moment), read_at=read_at)


def named(name: str) -> tuple[str, RegisterCategory]:
    """What a register `C.D.E` is called in a report."""
    c, d, e = name.split(".")
    definition = define(Code(c, d, e))
    if definition is None:
        return name, RegisterCategory.MISCELLANEOUS
    return definition.name, definition.category


def number(answer: Answer) -> int | Decimal | None:
    """`answer` if it is a number."""
    if isinstance(answer, bool) or not isinstance(answer, int | Decimal):
        return None
    return answer if isinstance(answer, int) or answer.is_finite() else None


def counters(answers: Mapping[Item, Answer], read_at: datetime) -> Iterator[RegisterReading]:
    """The `COUNTERS` among `answers`."""
    for obis, name in COUNTERS.items():
        count = number(answers.get(Item(DATA, obis)))
        if count is not None:
            yield RegisterReading(
                category=RegisterCategory.MISCELLANEOUS, name=name, number=Decimal(count), read_at=read_at
            )


def _moment(answer: Answer, time: MeterTime) -> datetime | None:
    if not isinstance(answer, bytes):
        return None
    try:
        stamp = date_time.decode(answer)
    except RemoteProtocolError:
        return None
    return None if stamp is None else time.utc(stamp)


def texts(answers: Sequence[Answer]) -> str:
    """The first of `answers` that says something, as text without padding; "" if none does."""
    return next(filter(None, map(text, answers)), "")


def text(answer: Answer) -> str:
    """Characters where the octets are such, else hexadecimal digits."""
    match answer:
        case str():
            return answer.strip(" \0")
        case bytes():
            stripped = answer.strip(b" \0")
            plain = stripped.decode("ascii", "replace")
            return plain if plain.isascii() and plain.isprintable() else answer.hex().upper()
        case bool() | None | Denied():
            return ""
        case int() | Decimal():
            return str(answer)
        case _:
            return ""
