"""The load profile of a DLMS meter: which object it is, what its columns are and how they show as a survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum

from mts_dialler.drivers.dlms_objects import NOT_THERE, Item, Objects
from mts_dialler.drivers.dlms_registers import (
    DATA,
    DEMAND_REGISTER,
    EXTENDED_REGISTER,
    REGISTER,
    Registers,
    number,
)
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.drivers.obis import SURVEY_NAMES
from mts_dialler.drivers.survey import energy
from mts_dialler.errors import FrameGarbled, MeterRefused
from mts_dialler.protocols.cosem import profile as generic
from mts_dialler.protocols.cosem.profile import CaptureObject
from mts_dialler.protocols.cosem.services import Answer, Denied
from mts_dialler.protocols.cosem.units import ScalerUnit
from mts_dialler.protocols.errors import RemoteProtocolError

_POWERS = {"kW": "kWh", "kvar": "kvarh", "kVA": "kVAh"}
_ENERGIES = frozenset(_POWERS.values())
_VALUE_ATTRIBUTES = {DATA: {2}, REGISTER: {2}, EXTENDED_REGISTER: {2}, DEMAND_REGISTER: {2, 3}}
_AVERAGES = {4, 5, 14, 15, 24, 25}  # D: average and last average of the three recording intervals (IEC 62056-61)
_INTERVALS = {29, 30}  # D: time integrals that begin with each recording period
_STATUS_C, _STATUS_D = 96, 10
_MAX_PERIOD = 86_400


class Kind(Enum):
    """What the values of a channel are."""

    DEMAND = "average power of the period"
    ENERGY = "energy of the period"
    CUMULATIVE = "register at the end of the period"
    OTHER = "as the meter gives it"


@dataclass(frozen=True, slots=True)
class Channel:
    """A column as the survey shows it; `column` is its place in a row."""

    column: int
    name: str
    units: str
    kind: Kind
    scale: ScalerUnit

    def amount(self, value: Answer, minutes: int) -> Decimal | None:
        """What a cell means; None for one without a number."""
        raw = number(value)
        if raw is None:
            return None
        amount, _ = self.scale.apply(raw)
        return energy(amount, minutes) if self.kind is Kind.DEMAND else amount


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """`status` is the place of the status column, if there is one; `unread` the columns that cannot be understood."""

    obis: str
    columns: tuple[CaptureObject, ...]
    channels: tuple[Channel, ...]
    status: int | None
    period: timedelta
    newest_first: bool
    unread: tuple[str, ...]

    @property
    def minutes(self) -> int:
        return self.period // timedelta(minutes=1)

    @property
    def clock(self) -> CaptureObject:
        return next(column for column in self.columns if column.is_clock)

    def item(self, attribute: int) -> Item:
        return Item(generic.CLASS_ID, self.obis, attribute)


async def find_load_profile(objects: Objects, registers: Registers, profile: MeterProfile) -> LoadProfile:
    """The first of the type's load profiles that the meter has. Raises `MeterRefused`, `FrameGarbled`."""
    why = "the meter has no load profile"
    for obis in profile.surveys:
        for name in (obis, obis.replace("1.0.", "1.1.", 1)) if objects.listed else (obis,):
            item = Item(generic.CLASS_ID, name, generic.CAPTURE_OBJECTS)
            if not objects.holds(item):
                continue
            [columns] = await objects.read([item])
            if not isinstance(columns, Denied):
                return await _describe(objects, registers, name, columns)
            if columns.code not in NOT_THERE:
                why = f"the meter does not show its load profile: {columns}"
    raise MeterRefused(why)


async def _describe(objects: Objects, registers: Registers, obis: str, sent: Answer) -> LoadProfile:
    items = [Item(generic.CLASS_ID, obis, number) for number in (generic.CAPTURE_PERIOD, generic.SORT_METHOD)]
    period, sort = await objects.read(items)
    if not isinstance(period, int) or not 60 <= period <= _MAX_PERIOD or period % 60:
        raise MeterRefused(f"the load profile has no period of whole minutes: {period}")
    columns = _columns(sent)
    scales = await registers.scales((column.class_id, dotted(column)) for column in columns)
    channels, unread = _channels(columns, scales)
    return LoadProfile(
        obis,
        columns,
        channels,
        next((place for place, column in enumerate(columns) if _is_status(column)), None),
        timedelta(seconds=period),
        sort in generic.LIFO,
        unread,
    )


def _columns(sent: Answer) -> tuple[CaptureObject, ...]:
    try:
        columns = generic.capture_objects(sent) if not isinstance(sent, Denied) else ()
    except RemoteProtocolError as error:
        raise FrameGarbled(f"load profile: {error}") from error
    if not any(column.is_clock for column in columns):
        raise MeterRefused("the load profile has no clock among its columns")
    return columns


def dotted(column: CaptureObject) -> str:
    """The logical name without its sixth group."""
    return ".".join(map(str, column.obis[:5]))


def _is_status(column: CaptureObject) -> bool:
    return column.class_id == DATA and column.obis[2] == _STATUS_C and column.obis[3] == _STATUS_D


def _channels(
    columns: Sequence[CaptureObject], scales: Mapping[tuple[int, str], ScalerUnit | None]
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    """The columns that hold readings, and what is wrong with others that should. No name comes twice."""
    channels: list[Channel] = []
    unread: list[str] = []
    for place, column in enumerate(columns):
        if _is_status(column) or column.attribute not in _VALUE_ATTRIBUTES.get(column.class_id, ()):
            continue
        scale = ScalerUnit(0, "") if column.class_id == DATA else scales[column.class_id, dotted(column)]
        if scale is None:
            unread.append(f"{dotted(column)}: no scaler and unit")
            continue
        channel = _channel(place, column, scale)
        if channel.name in {other.name for other in channels}:
            channel = Channel(place, f"{_code(column)} ({place})", channel.units, channel.kind, scale)
        channels.append(channel)
    return tuple(channels), tuple(unread)


def _channel(place: int, column: CaptureObject, scale: ScalerUnit) -> Channel:
    _, units = scale.apply(0)
    kind = _kind(column, units)
    shown = _POWERS[units] if kind is Kind.DEMAND else units
    name = SURVEY_NAMES.get(str(column.obis[2]), "")
    medium, channel, _, _, tariff = column.obis[:5]
    if kind is Kind.OTHER or medium != 1 or channel > 1 or tariff or not name.startswith(f"{shown} "):
        name = _code(column)
    return Channel(place, f"{name} (total)" if kind is Kind.CUMULATIVE else name, shown, kind, scale)


def _kind(column: CaptureObject, units: str) -> Kind:
    d = column.obis[3]
    if units in _POWERS and (column.class_id == DEMAND_REGISTER or d in _AVERAGES):
        return Kind.DEMAND
    if units in _ENERGIES:
        return Kind.ENERGY if d in _INTERVALS else Kind.CUMULATIVE
    return Kind.OTHER


def _code(column: CaptureObject) -> str:
    medium, channel, *rest = column.obis[:5]
    return f"{medium}-{channel}:{'.'.join(map(str, rest))}"
