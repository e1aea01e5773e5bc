"""Elster A1700: how it writes numbers, and the answer to its seed (fact sheet elster-a1700, sections 2 and 5)."""

from mts_metersim.clock import wall
from mts_metersim.unit import Unit


def seed_answer(password: str, seed: bytes) -> str:
    """The 16 upper-case hex digits that the host must send for a seed of 8 bytes; password of 8 characters."""
    mixed = [letter ^ byte for letter, byte in zip(password.encode("ascii"), seed, strict=True)]
    answer = []
    carried = mixed[7]
    for byte in mixed:
        carried = (carried + byte) % 256
        answer.append(carried)
    return bytes(answer).hex().upper()


def bcd(value: int, size: int) -> bytes:
    """Packed decimal digits, most significant byte first; digits that do not fit are lost, as on a register."""
    return bytes.fromhex(f"{value % 100**size:0{2 * size}d}")


def bcd_le(value: int, size: int) -> bytes:
    """Packed decimal digits, least significant byte first."""
    return bcd(value, size)[::-1]


def stamp(seconds: int) -> bytes:
    """Wall clock seconds since 1970, 4 bytes, least significant first."""
    return (seconds & 0xFFFF_FFFF).to_bytes(4, "little")


def demand(milliwatts: int) -> bytes:
    """A survey value: five digits and the decimal exponent in the last nibble, the smallest that fits."""
    exponent = 0
    while milliwatts // 10**exponent > 99_999:
        exponent += 1
    return bytes.fromhex(f"{milliwatts // 10**exponent:05d}{exponent}")


def instantaneous(digits: int, decimals: int, negative: bool = False) -> bytes:
    """Seven bytes of identity 606: `digits` / 10^decimals (0..4)."""
    return bytes([(0x80 if negative else 0) | (4 - decimals)]) + bcd(digits, 6)


def clock_bytes(unit: Unit) -> bytes:
    """Identity 861: ss mm hh, day with year mod 4, month with weekday (Monday 0), 00, year."""
    shown = wall(unit.zone, unit.clock.now())
    parts = [shown.second, shown.minute, shown.hour, shown.day, shown.month, 0, shown.year % 100]
    second, minute, hour, day, month, spare, year = (bcd(part, 1)[0] for part in parts)
    return bytes([second, minute, hour, day | shown.year % 4 << 6, month | shown.weekday() << 5, spare, year])
