"""An IEC 62056-21 mode C meter: its side of a call (fact sheet iec62056-21, sections 2 to 5 and 8)."""

import re

from mts_metersim.clock import wall
from mts_metersim.dialogue import ACCEPTED, Dialogue, Stage
from mts_metersim.iec import ACK, CRLF, EOT, ETX, Bare, Command, Message, Option, block, command
from mts_metersim.iec_list import Values, item_of
from mts_metersim.iec_profile import BadRange, event_lines, parse_stamp, survey_lines
from mts_metersim.makers import MAKERS
from mts_metersim.party import Note
from mts_metersim.unit import Unit

DEFAULT_ROWS = 8
_PROFILE = re.compile(r"P\.(01|98)\(([^;()]*)(?:;([^;()]*))?(?:;([0-9]*))?\)")
_REGISTER = re.compile(r"([^()]{1,16})\(;?\)")


class IecDialogue(Dialogue):
    """Readout list or programming mode. A meter with a password answers nothing in programming mode before P1."""

    def __init__(self, unit: Unit, note: Note) -> None:
        super().__init__(unit, note)
        self._maker = MAKERS[unit.meter.meter_type]
        self._trusted = not unit.meter.password
        self._blocks: list[bytes] = []

    def identification(self) -> bytes:
        return (self.unit.meter.options.identification or self._maker.identification).encode("ascii") + CRLF

    def _begin(self, option: Option) -> bytes:
        if option.mode == "0":
            self.stage = Stage.READOUT
            return self._readout()
        if option.mode == "1":
            self.stage = Stage.PROGRAMMING
            return command("P0", f"({self.unit.shown_serial})")
        self.stage = Stage.OVER
        return b""

    def _readout(self) -> bytes:
        items = self.unit.meter.options.readout or self._maker.items
        lines = Values(self.unit, self._maker).lines(items)
        return block("".join(f"{line}\r\n" for line in lines) + "!\r\n")

    def reply(self, message: Message) -> bytes:
        if self._blocks and message == Bare(ACK):
            return self._keep(self._blocks.pop(0))
        if isinstance(message, Command):
            self._blocks = []
        return super().reply(message)

    def _execute(self, asked: Command) -> bytes:
        if asked.code == "P1":
            return self._password(asked.dataset)
        if not self._trusted:
            return block(self._maker.denied)
        if asked.code in ("R1", "R2", "R5", "R6"):
            return self._read(asked)
        return block(self._maker.unknown)

    def _password(self, dataset: str) -> bytes:
        expected = self.unit.meter.password
        if self._judged("P1", not expected or dataset == f"({expected})"):
            self._trusted = True
            return ACCEPTED
        return self._refusal(self._maker.refusal, block(self._maker.denied))

    def _read(self, asked: Command) -> bytes:
        profile = _PROFILE.fullmatch(asked.dataset)
        if profile is not None and asked.code in ("R5", "R6"):
            return self._profile(asked.code, profile)
        register = _REGISTER.fullmatch(asked.dataset)
        if register is None:
            return block(self._maker.unknown)
        return self._register(register[1])

    def _register(self, code: str) -> bytes:
        if code == "C003":
            return block(f"({wall(self.unit.zone, self.unit.clock.now()):%y%m%d%H%M%S})")
        listed = self.unit.meter.options.readout or self._maker.items
        found = next((item for item in map(item_of, listed) if code in self._names(item.code)), None)
        if found is None:
            return block(self._maker.unknown)
        value = Values(self.unit, self._maker).value(found)
        return block(value if self._maker.bare_values else code + value)

    def _names(self, code: str) -> tuple[str, str]:
        return code, self._maker.code_form.format(code)

    def _profile(self, code: str, asked: re.Match[str]) -> bytes:
        number, begin, end, rows = asked.groups()
        try:
            first, last = parse_stamp(self.unit, begin), parse_stamp(self.unit, end or "")
        except BadRange:
            return block(self._maker.denied)
        if not self._maker.keeps_survey:
            return block(f"P.{number}{self._maker.empty}")
        read = survey_lines if number == "01" else event_lines
        lines = read(self.unit, self._maker, first, last)
        if not lines:
            return block(f"P.{number}{self._maker.empty}")
        if code == "R5":
            return block("".join(f"{line}\r\n" for line in lines))
        return self._in_blocks(lines, int(rows or DEFAULT_ROWS) or DEFAULT_ROWS)

    def _in_blocks(self, lines: list[str], rows: int) -> bytes:
        """Partial blocks of `rows` lines; the rest wait for the host's ACK."""
        parts = [lines[at : at + rows] for at in range(0, len(lines), rows)]
        texts = ["\r\n".join(part) + ("\r\n" if self._maker.trailing_line_break else "") for part in parts]
        ends = [EOT] * (len(texts) - 1) + [ETX]
        first, *self._blocks = [block(text, end) for text, end in zip(texts, ends, strict=True)]
        return first
