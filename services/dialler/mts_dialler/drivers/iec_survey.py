"""From the rows of P.01 to the survey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from mts_common.messages import SurveyReading
from mts_dialler.drivers.iec_types import VDEW_SUSPECT
from mts_dialler.drivers.obis import SURVEY_NAMES
from mts_dialler.drivers.survey import SurveyCollector, energy
from mts_dialler.protocols.iec62056_21.data_sets import parse_code
from mts_dialler.protocols.iec62056_21.profile import Block, Channel, Profile

_KILO = {"": Decimal("0.001"), "k": Decimal(1), "M": Decimal(1000)}
_POWERS = {"W": "kWh", "var": "kvarh", "VA": "kVAh"}
_ENERGIES = {"Wh": "kWh", "varh": "kvarh", "VAh": "kVAh"}
_SHORT_PERIOD = "period cut short"


class Kind(Enum):
    """What the values of a channel are."""

    DEMAND = "average power of the period"
    ENERGY = "energy of the period"
    CUMULATIVE = "register at the end of the period"
    OTHER = "as the meter gives it"


_KINDS = {"4": Kind.DEMAND, "5": Kind.DEMAND, "29": Kind.ENERGY, "8": Kind.CUMULATIVE}


@dataclass(frozen=True, slots=True)
class Column:
    """A channel as the survey shows it; a value times `factor` is in `units`, once a demand is made an energy."""

    name: str
    units: str
    kind: Kind
    factor: Decimal = Decimal(1)


def columns(channels: tuple[Channel, ...]) -> list[Column]:
    """One for each channel. Two that would have the same name: the later keeps its own code."""
    found: list[Column] = []
    for channel in channels:
        column = _column(channel)
        if column.name in {other.name for other in found}:
            column = Column(channel.code, column.units, column.kind, column.factor)
        found.append(column)
    return found


def _column(channel: Channel) -> Column:
    code = parse_code(channel.code)
    kind = _KINDS.get(code.d or "", Kind.OTHER) if code else Kind.OTHER
    base = channel.unit.lstrip("kM")
    factor = _KILO.get(channel.unit[: len(channel.unit) - len(base)])
    units = (_POWERS if kind is Kind.DEMAND else _ENERGIES).get(base)
    if code is None or kind is Kind.OTHER or units is None or factor is None:
        return Column(channel.code, channel.unit, Kind.OTHER)
    name = SURVEY_NAMES.get(code.c, "")
    # A further metering point of the same meter (1-2:...) is not the meter's own import or export.
    if code.channel not in {None, "0", "1"} or not name.startswith(f"{units} "):
        name = channel.code
    return Column(f"{name} (total)" if kind is Kind.CUMULATIVE else name, units, kind, factor)


class SurveyReader:
    """Puts rows into their periods. `names` are the channels met, `last_end` the end of the last period placed.

    A row whose stamp is not on a period's boundary is the part of that period up to the stamp; the collector adds the
    rest to it.
    """

    def __init__(self, collector: SurveyCollector, zone: ZoneInfo, season_status: int | None) -> None:
        self.last_end = datetime.min.replace(tzinfo=UTC)
        self.names: list[str] = []
        self._collector = collector
        self._zone = zone
        self._season_status = season_status

    def place(self, profile: Profile, earliest: datetime) -> None:
        """`earliest`: when the range asked for began; resolves a repeated hour that the meter does not tell apart."""
        self.last_end = earliest
        for block in profile.blocks:
            shown = columns(block.channels)
            for column in shown:
                self._collector.channel(column.name, column.units, cumulative=column.kind is Kind.CUMULATIVE)
                if column.name not in self.names:
                    self.names.append(column.name)
            for start, row, status in self._rows(block):
                for column, value in zip(shown, row, strict=True):
                    if value is not None:
                        self._collector.add(
                            column.name, SurveyReading(start, _amount(column, value, block.minutes), status)
                        )

    def _rows(self, block: Block) -> Iterator[tuple[datetime, tuple[Decimal | None, ...], tuple[str, ...]]]:
        """Each row with the start of its period and its status in words."""
        length = timedelta(minutes=block.minutes)
        wall = block.stamp.wall
        over = (wall - wall.replace(hour=0, minute=0, second=0)) % length
        end = block.stamp.to_utc(self._zone, self.last_end)
        suspect = 0 if block.status == self._season_status else block.status
        status = tuple(word for bit, word in VDEW_SUSPECT.items() if suspect & bit)
        if over:
            status = (*status, _SHORT_PERIOD)
        for row in block.rows:
            yield end - (over or length), row, status
            self.last_end = end
            end += length


def _amount(column: Column, value: Decimal, minutes: int) -> Decimal:
    scaled = value if column.factor == 1 else value * column.factor
    return energy(scaled, minutes) if column.kind is Kind.DEMAND else scaled
