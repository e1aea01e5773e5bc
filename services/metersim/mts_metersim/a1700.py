"""Elster A1700: its side of a call (fact sheet elster-a1700, sections 1 to 3, 8 and 11)."""

import os
import re
from collections.abc import Callable

from mts_metersim import a1700_profile
from mts_metersim.a1700_codes import seed_answer
from mts_metersim.a1700_identities import DEFAULT_IDENTIFICATION, Identities, device_of
from mts_metersim.a1700_now import Instants
from mts_metersim.dialogue import ACCEPTED, REFUSED, Dialogue, Stage
from mts_metersim.iec import Command, Option, block, command
from mts_metersim.party import Note
from mts_metersim.unit import Unit

NO_PASSWORD = "0" * 16
FREE_IDENTITIES = ("795", "798")
BAD_COMMAND, UNKNOWN_IDENTITY, BAD_PACKET, LOCKED = (block(f"(ERR{n})") for n in (1, 2, 3, 5))
_READ = re.compile(r"([0-9A-Fa-f]{3})([0-9A-Fa-f]{3})\(([0-9A-Fa-f]{2})\)")
_WRITE = re.compile(r"([0-9A-Fa-f]{3})([0-9A-Fa-f]{3})\(((?:[0-9A-Fa-f]{2})*)\)")

SeedSource = Callable[[int], bytes]


class A1700Dialogue(Dialogue):
    """Programming mode alone: readout and data streaming are refused with NAK."""

    default_identification = DEFAULT_IDENTIFICATION
    writable: tuple[str, ...] = ("551", "605")

    def __init__(self, unit: Unit, note: Note, seed_source: SeedSource = os.urandom) -> None:
        super().__init__(unit, note)
        self._seed = seed_source(8)
        self._identities = self._make_identities()
        self._instants = Instants(unit)
        self._survey = b""
        self._granted_at: int | None = None

    def identification(self) -> bytes:
        return f"{self._line()}\r\n".encode("ascii")

    def _line(self) -> str:
        return self.unit.meter.options.identification or self.default_identification

    def _make_identities(self) -> Identities:
        return Identities(self.unit, device_of(self._line()))

    def _begin(self, option: Option) -> bytes:
        if (option.protocol, option.mode) != ("0", "1"):
            self.stage = Stage.OVER
            return REFUSED
        self.stage = Stage.PROGRAMMING
        return command("P0", f"({self._seed.hex().upper()})")

    def _execute(self, asked: Command) -> bytes:
        if asked.code == "P2":
            return self._answered(asked.dataset.strip("()"))
        if asked.code == "R1":
            return self._read(asked.dataset)
        if asked.code == "W1":
            return self._write(asked.dataset)
        return BAD_COMMAND

    def _answered(self, answer: str) -> bytes:
        """The right answer grants access for `access_seconds`, again and again with the same seed; sixteen zeros are
        taken and grant nothing; anything else is refused."""
        password = self.unit.meter.password
        if answer == NO_PASSWORD:
            self._note("P2 (no password)", False)
            return ACCEPTED
        right = password != "" and answer.upper() == seed_answer(password, self._seed)
        if self._judged("P2", right):
            self._granted_at = self.unit.clock.now()
            return ACCEPTED
        self._granted_at = None
        return self._refusal("nak", LOCKED)

    def _open(self) -> bool:
        if not self.unit.meter.password:
            return True
        expiry = self.unit.meter.options.access_seconds
        return self._granted_at is not None and self.unit.clock.now() - self._granted_at < expiry

    def _read(self, dataset: str) -> bytes:
        parsed = _READ.fullmatch(dataset)
        if parsed is None:
            return BAD_COMMAND
        identity, packet, length = parsed[1], int(parsed[2], 16), int(parsed[3], 16)
        if identity not in FREE_IDENTITIES and not self._open():
            return LOCKED
        if not 1 <= length <= 64:
            return BAD_COMMAND
        if packet == 0:
            return BAD_PACKET
        return self._packet(identity, (packet - 1) * 64, length)

    def _packet(self, identity: str, offset: int, length: int) -> bytes:
        if identity == "550":
            part = self._survey[offset : offset + length].ljust(length, b"\xff")
            return block(f"({part.hex().upper()})")
        whole = self._volatile(identity)
        if whole is None:
            return UNKNOWN_IDENTITY
        part = whole[offset : offset + length]
        return block(f"({part.hex().upper()})") if part else BAD_PACKET

    def _volatile(self, identity: str) -> bytes | None:
        if identity == "551":
            return a1700_profile.block_counts(self._survey)
        if identity == "605":
            return self._instants.poll()
        if identity == "606":
            return self._instants.values()
        return self._identities.read(identity)

    def _write(self, dataset: str) -> bytes:
        """Only what a reader writes: which part of the survey it wants, and the instantaneous request (605)."""
        parsed = _WRITE.fullmatch(dataset)
        if parsed is None:
            return BAD_COMMAND
        if not self._open() or parsed[1] not in self.writable:
            return LOCKED
        data = bytes.fromhex(parsed[3])
        if parsed[1] == "605":
            return ACCEPTED if self._instants.request(data) else BAD_COMMAND
        survey = self._selected(parsed[1], data)
        if survey is None:
            return BAD_COMMAND
        self._survey = survey
        return ACCEPTED

    def _selected(self, identity: str, data: bytes) -> bytes | None:
        """The survey of the days wanted, None where the request is not understood."""
        if identity != "551" or len(data) != 2 or not any(data):
            return None
        return a1700_profile.survey(self.unit, int.from_bytes(data, "little"))
