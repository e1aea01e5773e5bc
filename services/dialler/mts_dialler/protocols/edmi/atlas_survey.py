"""The load surveys of Atlas meters (edmi.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mts_dialler.protocols.edmi.measures import Channel, Energy, Sample, Scale
from mts_dialler.protocols.errors import RemoteProtocolError

SURVEYS = 2
FIRST, LAST, LAYOUT, START_TIME = 0xD802, 0xD804, 0xD806, 0xD8B0  # plus the number of the survey
CHANNELS = (0xD840, 0xD860)  # of the first and the second survey, plus the number of the channel
SCALES = {scale: 0xD808 + at for at, scale in enumerate(Scale)}

MAX_ANSWER = 2048  # bytes of records that a meter gives in one answer

_PRESENT = 0x01
_STATUS = {
    0x02: "period cut short",
    0x04: "power failure",
    0x08: "user flag 1",
    0x10: "user flag 2",
    0x20: "user flag 3",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """`channels` without the status; the record is two bytes for each and one of status."""

    channels: int
    minutes: int

    @classmethod
    def parse(cls, word: int) -> Layout | None:
        """From the layout register; None for a survey that is not set up."""
        layout = cls(word & 0x3F, word >> 6 & 0x3F)
        return layout if layout.channels and layout.minutes else None

    @property
    def record(self) -> int:
        return 2 * self.channels + 1

    @property
    def most_records(self) -> int:
        """To be asked for at once."""
        return max(1, MAX_ANSWER // self.record)


def parse_records(data: bytes, channels: Sequence[Channel | None]) -> Iterator[tuple[tuple[int, ...], int]]:
    """The raw values of each record, signed where the channel is no energy, and its status.

    Raises `RemoteProtocolError` if `data` is no whole number of records.
    """
    size = 2 * len(channels) + 1
    if len(data) % size:
        raise RemoteProtocolError(f"{len(data)} bytes are no whole number of records")
    signed = [channel is not None and isinstance(channel.measure, Sample) for channel in channels]
    for at in range(0, len(data), size):
        values = tuple(
            int.from_bytes(data[at + 2 * number : at + 2 * number + 2], "little", signed=is_signed)
            for number, is_signed in enumerate(signed)
        )
        yield values, data[at + size - 1]


def present(status: int) -> bool:
    """Did the meter record the period at all?"""
    return bool(status & _PRESENT)


def status_words(status: int) -> tuple[str, ...]:
    """Why the reading is suspect."""
    return tuple(word for bit, word in _STATUS.items() if status & bit)


def amount(channel: Channel, raw: int, scales: dict[Scale, Decimal]) -> Decimal:
    """An energy in base units, or a sample in its own. Exact."""
    if isinstance(channel.measure, Energy):
        return Decimal(raw).scaleb(3 * channel.thousands - channel.decimals)
    if channel.measure.scale is None:
        return Decimal(raw).scaleb(-channel.decimals)
    return raw * scales[channel.measure.scale]
