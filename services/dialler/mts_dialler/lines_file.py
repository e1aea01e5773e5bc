"""The file that describes a bank of lines (README.md, "Lines")."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mts_dialler.channels.port import EIGHT_NONE_ONE, Framing
from mts_dialler.numbers import Numbers
from mts_dialler.protocols.hayes import commands

_DEVICE = re.compile(r"/\S+|(?:rfc2217|tcp)://\S+:[0-9]{1,5}")


class LinesFileFault(ValueError):
    """The file cannot be read, or does not describe lines."""


class LineKind(StrEnum):
    PSTN = "pstn"
    GSM = "gsm"
    DIRECT = "direct"  # no modem: the meter itself is wired to the port


class HangUp(StrEnum):
    """A way to end a call."""

    DTR = "dtr"
    ESCAPE = "escape"  # +++ and ATH


def _framing(value: object) -> object:
    return Framing.parse(value) if isinstance(value, str) else value


def _command(text: str) -> str:
    if not commands.is_command(text) or text.upper().startswith("AT"):
        raise ValueError("a command is at most 120 printable characters, without its AT")
    return text


def _prefix(text: str) -> str:
    if not commands.is_prefix(text):
        raise ValueError("a dial prefix is at most 20 of 0-9 * # , W")
    return text


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ValueError("a device is an absolute path, rfc2217://host:port or tcp://host:port")
    return text


def _filter(text: str) -> str:
    Numbers.parse(text)
    return text


Seconds = Annotated[float, Field(ge=0, le=3600)]
Commands = tuple[Annotated[str, AfterValidator(_command)], ...]


class LineSettings(BaseModel):
    """One line. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")
    device: Annotated[str, AfterValidator(_device)]
    kind: LineKind = LineKind.PSTN
    numbers: Annotated[str, AfterValidator(_filter)] = ""
    baud: int = Field(default=9600, gt=0)
    framing: Annotated[Framing, BeforeValidator(_framing)] = EIGHT_NONE_ONE
    hardware_framing: bool = False
    pause_seconds: Seconds = 2.0  # between calls

    init: Commands = Field(default=(), repr=False)  # may hold a PIN
    bearer: str = Field(default="7,0,1", pattern=r"^([0-9]{1,3}(,[0-9]){2})?$")  # +CBST of a GSM line
    dial_prefix: Annotated[str, AfterValidator(_prefix)] = ""
    international_prefix: str = Field(default="00", pattern=r"^[0-9]{0,6}$")  # what a PSTN line dials for a +
    pulse: bool = False
    hang_up: tuple[HangUp, ...] = Field(default=(HangUp.DTR, HangUp.ESCAPE), min_length=1)
    dtr_seconds: Seconds = 1.0
    guard_seconds: float = Field(default=1.0, gt=0, le=5)  # of silence around +++; S12 is set to it
    command_seconds: float = Field(default=5.0, gt=0, le=60)  # longest wait for the answer to a command
    command_pause_seconds: Seconds = 0.1  # before a command
    reset_pause_seconds: Seconds = 2.0  # after ATZ
    registration_seconds: Seconds = 30.0
    dial_seconds: float = Field(default=90.0, gt=5, le=255)  # the modem gives up 5 s earlier
    settle_seconds: Seconds = 0.5  # after CONNECT what comes is dropped
    carrier_silence_seconds: float = Field(default=1.0, gt=0, le=60)  # after NO CARRIER among data

    sign_on_baud: int | None = Field(default=None, gt=0)  # of a direct line; default: baud, which is never changed

    fault_rest_seconds: float = Field(default=30.0, gt=0)  # doubled with each fault in a row
    fault_rest_most_seconds: float = Field(default=900.0, gt=0)
    delayed_rest_seconds: Seconds = 180.0  # when the modem itself puts off redialling

    @model_validator(mode="after")
    def _consistent(self) -> LineSettings:
        if self.kind is LineKind.DIRECT and not Numbers.parse(self.numbers).allows_some_only:
            raise ValueError("a direct line must name its numbers")
        if self.kind is not LineKind.DIRECT and self.sign_on_baud is not None:
            raise ValueError("sign_on_baud is for direct lines: the speed behind a modem is fixed")
        if not self.hardware_framing and self.framing != EIGHT_NONE_ONE:
            raise ValueError("framing is set on the port by hardware_framing alone; without it the port is 8N1")
        return self


def read_lines(path: Path) -> tuple[LineSettings, ...]:
    """`[[line]]` tables, over what `[defaults]` gives to all. Raises `LinesFileFault`; its text holds no values."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LinesFileFault(f"{path}: {error}") from None
    if extra := content.keys() - {"defaults", "line"}:
        raise LinesFileFault(f"{path}: unknown {', '.join(sorted(extra))}")
    defaults, tables = content.get("defaults", {}), content.get("line", [])
    if not isinstance(defaults, dict) or not isinstance(tables, list) or not tables:
        raise LinesFileFault(f"{path}: one [[line]] or more are needed")
    lines = tuple(_line(path, at, defaults, table) for at, table in enumerate(tables, 1))
    for what in ("name", "device"):
        given = [getattr(line, what) for line in lines]
        if twice := sorted({each for each in given if given.count(each) > 1}):
            raise LinesFileFault(f"{path}: {what} {', '.join(twice)} stands there twice")
    return lines


def _line(path: Path, at: int, defaults: dict[str, object], table: object) -> LineSettings:
    if not isinstance(table, dict):
        raise LinesFileFault(f"{path}: line {at} is no table")
    try:
        return LineSettings.model_validate(defaults | table)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'line'}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise LinesFileFault(f"{path}: line {at}: {faults}") from None
