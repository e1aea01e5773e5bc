"""The registers of EDMI meters: momentary values, energies, tariffs and maximum demands (edmi.md, section 4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
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
from mts_dialler.protocols.edmi.values import UNITS, Value
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
    """In what the families differ."""

    def definitions(self) -> Sequence[tuple[int, str]]:
        """The registers, with their types, that say what each channel measures."""
        ...

    def tariff(self, channel: int, word: int) -> Tariff | None:
        """What a definition says; None if the channel is not in use."""
        ...

    def register(self, kind: Kind, period: Period, channel: int, rate: int = 0) -> int: ...


class AtlasScheme:
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
    def definitions(self) -> Sequence[tuple[int, str]]:
        return [(registers.GENIUS_TARIFF_CHANNELS + channel, "X") for channel in range(registers.GENIUS_CHANNELS)]

    def tariff(self, channel: int, word: int) -> Tariff | None:
        """How many rates are in use is not told."""
        return Tariff(channel, genius_measure(word), registers.RATES) if word & 0xFFFF not in {0, 0xFFFF} else None

    def register(self, kind: Kind, period: Period, channel: int, rate: int = 0) -> int:
        return registers.genius_register(kind, period, channel, rate)


class RegisterReader:
    """Reads all registers of one meter. `failures`: what the meter has and did not give."""

    def __init__(self, session: EdmiSession, scheme: Scheme, zone: ZoneInfo) -> None:
        self.failures: list[CommandFailed] = []
        self._session = session
        self._scheme = scheme
        self._zone = zone
        self._names: set[str] = set()

    async def read(self) -> AsyncIterator[RegisterReading]:
        """Each as soon as it is read."""
        tariffs = await self._tariffs()
        for reading in await self._energies(tariffs):
            yield reading
        for reading in await self._maximum_demands(tariffs):
            yield reading
        for reading in await self._instantaneous():
            yield reading

    async def _many(self, wanted: Sequence[tuple[int, str]]) -> dict[int, Value]:
        found: Readings = await self._session.read_many(wanted)
        self.failures += found.failures
        return found.values

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
            words = await self._many(group)
            found = [
                self._scheme.tariff(start + at, int(word))
                for at, (register, _) in enumerate(group)
                if isinstance(word := words.get(register), Decimal)
            ]
            used = [tariff for tariff in found if tariff is not None]
            if not used:
                break
            tariffs += used
        return tariffs

    # --- energies and maximum demands

    async def _energies(self, tariffs: Sequence[Tariff]) -> list[RegisterReading]:
        """Since installation. Rates behind the last one that has counted anything are not in use."""
        kind = Kind.ENERGY
        places = [(tariff, rate) for tariff in tariffs for rate in range(tariff.rates + 1)]
        numbers = {place: self._scheme.register(kind, Period.TOTAL, place[0].channel, place[1]) for place in places}
        infos = await self._infos(kind, Period.TOTAL, tariffs)
        values = await self._many(
            [(number, infos[place[0].channel].type) for place, number in numbers.items() if place[0].channel in infos]
        )
        last = max((rate for (_, rate), number in numbers.items() if values.get(number)), default=0)
        return [
            self._reading(tariff, kind, rate, value, infos[tariff.channel])
            for (tariff, rate), number in numbers.items()
            if rate <= last and isinstance(value := values.get(number), Decimal)
        ]

    async def _maximum_demands(self, tariffs: Sequence[Tariff]) -> list[RegisterReading]:
        """Of the billing period that runs, with their times; one that has no time was not reached yet."""
        kind, period = Kind.MAXIMUM_DEMAND, Period.CURRENT
        infos = await self._infos(kind, period, tariffs)
        places = [
            (
                tariff,
                self._scheme.register(kind, period, tariff.channel),
                self._scheme.register(Kind.TIME_OF_MAXIMUM, period, tariff.channel),
            )
            for tariff in tariffs
            if tariff.channel in infos
        ]
        values = await self._many(
            [pair for tariff, demand, at in places for pair in ((demand, infos[tariff.channel].type), (at, "T"))]
        )
        found: list[RegisterReading] = []
        for tariff, demand, at in places:
            value, wall = values.get(demand), values.get(at)
            if isinstance(value, Decimal):
                found.append(self._reading(tariff, kind, 0, value, infos[tariff.channel]))
                if isinstance(wall, datetime):
                    found.append(self._time_of(found[-1], wall))
        return found

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

    def _reading(self, tariff: Tariff, kind: Kind, rate: int, value: Decimal, info: Info) -> RegisterReading:
        if isinstance(tariff.measure, Energy):
            named = register_name(tariff.measure, kind, rate)
            name, category, units, shown_value = named.name, named.category, named.units, value.scaleb(-3)
        else:
            suffix = (" Maximum Demand" if kind is Kind.MAXIMUM_DEMAND else "") + (f" T{rate}" if rate else "")
            name = (tariff.measure or info.name or f"Channel {tariff.channel}") + suffix
            category = RegisterCategory.TIME_OF_USE if rate else RegisterCategory.MISCELLANEOUS
            shown_value, units = kilo(value, UNITS.get(info.unit, ""))
        return RegisterReading(
            category=category,
            name=distinct(name, self._names),
            number=shown_value,
            units=units,
            read_at=self._session.answered_at,
        )

    def _time_of(self, demand: RegisterReading, wall: datetime) -> RegisterReading:
        return RegisterReading(
            category=demand.category,
            name=distinct(f"{demand.name} Time", self._names),
            text=shown(standard_to_utc(wall, self._zone)),
            read_at=demand.read_at,
        )

    # --- momentary values

    async def _instantaneous(self) -> list[RegisterReading]:
        values = await self._many([(register, "F") for register in registers.INSTANTANEOUS])
        found: list[RegisterReading] = []
        for register, (name, base) in registers.INSTANTANEOUS.items():
            value = values.get(register)
            if isinstance(value, Decimal):
                number, units = kilo(value, base)
                found.append(
                    RegisterReading(
                        category=RegisterCategory.INSTANTANEOUS,
                        name=name,
                        number=number,
                        units=units,
                        read_at=self._session.answered_at,
                    )
                )
        return found
