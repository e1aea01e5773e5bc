"""The registers of EDMI meters: momentary values, energies, tariffs and maximum demands (edmi.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from mts_common.messages import RegisterCategory, RegisterReading
from mts_dialler.drivers.edmi_names import distinct, kilo, register_name
from mts_dialler.drivers.edmi_session import CommandFailed, EdmiSession, Readings
from mts_dialler.drivers.survey import shown
from mts_dialler.protocols.edmi import registers
from mts_dialler.protocols.edmi.commands import Info
from mts_dialler.protocols.edmi.measures import Energy, genius_measure, parse_tariff_channel
from mts_dialler.protocols.edmi.registers import Kind, Period
from mts_dialler.protocols.edmi.values import UNITS
from mts_dialler.protocols.wall_clock import standard_to_utc

_GROUP = 8  # channel definitions read at a time; a group without a channel in use is the last
_USUAL = Info("F", "U", "")  # where a meter says nothing of a register's type


@dataclass(frozen=True, slots=True)
class Tariff:
    """A register channel in use. `measure` is a name where it is no energy, None where only the meter has a name."""

    channel: int
    measure: Energy | str | None
    rates: int


class Scheme(Protocol):
    """In what the families differ. `tells_rates`: a definition says how many rates are in use."""

    @property
    def tells_rates(self) -> bool: ...

    def definitions(self) -> Sequence[tuple[int, str]]:
        """The registers, with their types, that say what each channel measures."""
        ...

    def tariff(self, channel: int, word: int) -> Tariff | None:
        """What a definition says; None if the channel is not in use."""
        ...

    def register(self, kind: Kind, period: Period, channel: int, rate: int = 0) -> int: ...


class AtlasScheme:
    tells_rates = True

    def definitions(self) -> Sequence[tuple[int, str]]:
        return [(registers.ATLAS_TARIFF_CHANNELS + channel, "H") for channel in range(registers.ATLAS_CHANNELS)]

    def tariff(self, channel: int, word: int) -> Tariff | None:
        found = parse_tariff_channel(word)
        if found is None:
            return None
        measure = found.measure if isinstance(found.measure, Energy) else found.measure.name
        return Tariff(channel, measure, found.rates if found.rates > 1 else 0)

    def register(self, kind: Kind, period: Period, channel: int, rate: int = 0) -> int:
        return registers.atlas_register(kind, period, channel, rate)


class GeniusScheme:
    tells_rates = False

    def definitions(self) -> Sequence[tuple[int, str]]:
        return [(registers.GENIUS_TARIFF_CHANNELS + channel, "X") for channel in range(registers.GENIUS_CHANNELS)]

    def tariff(self, channel: int, word: int) -> Tariff | None:
        return Tariff(channel, genius_measure(word), registers.RATES) if word & 0xFFFF not in {0, 0xFFFF} else None

    def register(self, kind: Kind, period: Period, channel: int, rate: int = 0) -> int:
        return registers.genius_register(kind, period, channel, rate)


class RegisterReader:
    """Reads all registers of one meter into `sink`, also what was read before the line broke.

    `failures`: what the meter has and did not give.
    """

    def __init__(self, session: EdmiSession, scheme: Scheme, zone: ZoneInfo, sink: list[RegisterReading]) -> None:
        self._session = session
        self._scheme = scheme
        self._zone = zone
        self._sink = sink
        self._found = Readings()
        self._names: set[str] = set()

    @property
    def failures(self) -> list[CommandFailed]:
        return self._found.failures

    async def read(self) -> None:
        tariffs = await self._tariffs()
        await self._energies(tariffs)
        await self._maximum_demands(tariffs)
        await self._instantaneous()

    async def _info(self, register: int) -> Info | None:
        """None where there is no such register; a meter that does not say has the usual type."""
        try:
            return await self._session.info(register)
        except CommandFailed as failure:
            return None if failure.absent else _USUAL

    async def _tariffs(self) -> list[Tariff]:
        definitions = self._scheme.definitions()
        tariffs: list[Tariff] = []
        for start in range(0, len(definitions), _GROUP):
            group = definitions[start : start + _GROUP]
            await self._session.read_many(group, self._found)
            found = [
                self._scheme.tariff(start + at, int(word))
                for at, (register, _) in enumerate(group)
                if isinstance(word := self._found.values.get(register), Decimal)
            ]
            used = [tariff for tariff in found if tariff is not None]
            if not used:
                break
            tariffs += used
        return tariffs

    # --- energies and maximum demands

    async def _energies(self, tariffs: Sequence[Tariff]) -> None:
        """Since installation. Where it is not told, rates behind the last that has counted anything are not in use."""
        kind, period = Kind.ENERGY, Period.TOTAL
        infos = await self._infos(kind, period, tariffs)
        places = [
            (self._scheme.register(kind, period, tariff.channel, rate), tariff, rate)
            for tariff in tariffs
            if tariff.channel in infos
            for rate in range(tariff.rates + 1)
        ]
        try:
            await self._session.read_many(
                [(register, infos[tariff.channel].type) for register, tariff, rate in places if not rate], self._found
            )
            for channel, info in infos.items():
                rates = [register for register, tariff, rate in places if rate and tariff.channel == channel]
                await self._session.read_run([(register, info.type) for register in rates], self._found)
        finally:
            values = self._found.values
            counted = [rate for register, _, rate in places if values.get(register)]
            last = registers.RATES if self._scheme.tells_rates else max(counted, default=0)
            for register, tariff, rate in places:
                if rate <= last and isinstance(value := values.get(register), Decimal):
                    named = self._named(tariff, kind, rate, value, infos[tariff.channel])
                    self._sink.append(_register(*named, self._found.read_at[register]))

    async def _maximum_demands(self, tariffs: Sequence[Tariff]) -> None:
        """Of the billing period that runs, with their times; one that has no time was not reached yet."""
        kind, period = Kind.MAXIMUM_DEMAND, Period.CURRENT
        infos = await self._infos(kind, period, tariffs)
        places = [
            (
                self._scheme.register(kind, period, tariff.channel),
                self._scheme.register(Kind.TIME_OF_MAXIMUM, period, tariff.channel),
                tariff,
            )
            for tariff in tariffs
            if tariff.channel in infos
        ]
        wanted = [pair for demand, at, tariff in places for pair in ((demand, infos[tariff.channel].type), (at, "T"))]
        try:
            await self._session.read_many(wanted, self._found)
        finally:
            for demand, at, tariff in places:
                value, wall = self._found.values.get(demand), self._found.values.get(at)
                if isinstance(value, Decimal):
                    named = self._named(tariff, kind, 0, value, infos[tariff.channel])
                    self._sink.append(_register(*named, self._found.read_at[demand]))
                    if isinstance(wall, datetime):
                        self._sink.append(self._time_of(self._sink[-1], wall))

    async def _infos(self, kind: Kind, period: Period, tariffs: Sequence[Tariff]) -> dict[int, Info]:
        """By channel. The registers of one kind are of one type, so the first is asked, and each without a name."""
        infos: dict[int, Info] = {}
        shared: Info | None = None
        for tariff in tariffs:
            if shared is None or tariff.measure is None:
                info = await self._info(self._scheme.register(kind, period, tariff.channel))
                if info is None:
                    continue
                shared = shared or info
                infos[tariff.channel] = info
            else:
                infos[tariff.channel] = shared
        return infos

    def _named(
        self, tariff: Tariff, kind: Kind, rate: int, value: Decimal, info: Info
    ) -> tuple[RegisterCategory, str, Decimal, str]:
        """Category, name, number and units."""
        if isinstance(tariff.measure, Energy):
            named = register_name(tariff.measure, kind, rate)
            return named.category, distinct(named.name, self._names), value.scaleb(-3), named.units
        suffix = (" Maximum Demand" if kind is Kind.MAXIMUM_DEMAND else "") + (f" T{rate}" if rate else "")
        name = (tariff.measure or info.name or f"Channel {tariff.channel}") + suffix
        category = RegisterCategory.TIME_OF_USE if rate else RegisterCategory.MISCELLANEOUS
        return category, distinct(name, self._names), *kilo(value, UNITS.get(info.unit, ""))

    def _time_of(self, demand: RegisterReading, wall: datetime) -> RegisterReading:
        return RegisterReading(
            category=demand.category,
            name=distinct(f"{demand.name} Time", self._names),
            text=shown(standard_to_utc(wall, self._zone)),
            read_at=demand.read_at,
        )

    # --- momentary values

    async def _instantaneous(self) -> None:
        try:
            await self._session.read_many([(register, "F") for register in registers.INSTANTANEOUS], self._found)
        finally:
            for register, (name, base) in registers.INSTANTANEOUS.items():
                if isinstance(value := self._found.values.get(register), Decimal):
                    number = kilo(value, base)
                    read_at = self._found.read_at[register]
                    self._sink.append(_register(RegisterCategory.INSTANTANEOUS, name, *number, read_at))


def _register(category: RegisterCategory, name: str, number: Decimal, units: str, read_at: datetime) -> RegisterReading:
    return RegisterReading(category=category, name=name, number=number, units=units, read_at=read_at)
