"""The dialler's settings."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated
from uuid import uuid4
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from mts_common.catalogue import CATALOGUE
from mts_common.settings import MeterKeys, Settings
from mts_dialler.line import LineLimits
from mts_dialler.numbers import Numbers
from mts_dialler.trace import MAX_TRACE_BYTES
from mts_dialler.worker import Pace


def _networks(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _numbers(text: str | None) -> str | None:
    Numbers.parse(text or "")
    return text


_DENIED_BY_COUNTRY = {"44": "09*; 070*; 0871*; 0872*; 0873*; 999; 112"}


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]


class DiallerSettings(Settings):
    """From the environment, `MTS_…`. Times in seconds."""

    meter_keys: MeterKeys = Field(description="Fernet keys that open meter passwords, comma separated")
    dialler_name: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{uuid4().hex[:8]}",
        min_length=1,
        max_length=100,
        description="Name of this process, never used by two at once; default: made anew at each start",
    )
    dialler_lines: int | None = Field(
        default=None, ge=1, le=5000, description="TCP calls at the same time; default 100, with a lines file none"
    )
    allow_networks: Networks = Field(
        default=(), description="Networks that may be dialled, as CIDR, comma separated; none listed = none may"
    )
    lines_file: Path | None = Field(default=None, description="The bank's lines (README.md, Lines); none = no modems")
    country_code: str = Field(default="44", pattern="^[1-9][0-9]{0,2}$", description="Calling code of national numbers")
    deny_numbers: Annotated[str | None, AfterValidator(_numbers)] = Field(
        default=None,
        description="Numbers never dialled: `number` or `prefix*`, divided by ;, with - an exception; the longest "
        "decides. Default: other countries and, in the United Kingdom, premium rates and emergency calls",
    )
    meter_zones: dict[str, ZoneInfo] = Field(
        default_factory=dict, description="IANA zone of the meters' clocks by meter type, as JSON; default UTC"
    )

    resolve_seconds: float = Field(default=5.0, gt=0, description="Longest look-up of a host name")
    connect_seconds: float = Field(default=20.0, gt=0, description="Longest connect")
    reply_seconds: float = Field(default=10.0, gt=0, description="Longest wait for a meter's answer to begin")
    character_seconds: float = Field(default=5.0, gt=0, description="Longest silence inside an answer")
    settle_seconds: float = Field(default=0.3, gt=0, description="Silence that shows that a meter has finished")
    modem_reply_seconds: float = Field(default=15.0, gt=0, description="reply_seconds over a modem")
    modem_character_seconds: float = Field(default=8.0, gt=0, description="character_seconds over a modem")
    modem_settle_seconds: float = Field(default=1.5, gt=0, description="settle_seconds over a modem")
    modem_test_seconds: float = Field(default=1800.0, gt=0, description="test_seconds over a modem")
    test_seconds: float = Field(default=900.0, gt=0, description="Longest reading of one meter")
    test_bytes: int = Field(default=4 * 1024 * 1024, gt=0, description="Most bytes exchanged in one test")
    sign_off_seconds: float = Field(default=5.0, gt=0, description="Longest sign-off")
    trace_bytes: int = Field(default=MAX_TRACE_BYTES, ge=0, description="Most bytes kept of one wire trace")
    shortest_call_seconds: float = Field(
        default=20.0, ge=0, description="A call is not begun if less than this is left of the run window"
    )

    calls_per_ask: int = Field(default=32, ge=1, le=200, description="Most calls asked for at once")
    want_seconds: float = Field(default=5.0, ge=0, description="How long the scheduler may hold an ask")
    alive_seconds: float = Field(default=10.0, gt=0, description="Pause between the renewals of the lease")
    drain_seconds: float = Field(default=60.0, ge=0, description="At shutdown, time for calls to end by themselves")
    give_back_seconds: float = Field(default=10.0, gt=0, description="Then, time to give back those that did not")
    line_rest_seconds: float = Field(default=30.0, ge=0, description="How long a line at fault is not used")

    @field_validator("meter_zones")
    @classmethod
    def _known_types(cls, zones: dict[str, ZoneInfo]) -> dict[str, ZoneInfo]:
        if unknown := sorted(zones.keys() - CATALOGUE.keys()):
            raise ValueError(f"unknown meter types: {', '.join(unknown)}")
        return zones

    @property
    def tcp_lines(self) -> int:
        """0 = this dialler makes no TCP calls."""
        return self.dialler_lines or (0 if self.lines_file else 100)

    @property
    def denied_numbers(self) -> Numbers:
        """What `deny_numbers` comes to."""
        if self.deny_numbers is not None:
            return Numbers.parse(self.deny_numbers)
        own = _DENIED_BY_COUNTRY.get(self.country_code, "")
        return Numbers.parse(f"+*; -+{self.country_code}*; {own}")

    def limits(self) -> LineLimits:
        """For lines over TCP."""
        return LineLimits(
            reply_seconds=self.reply_seconds,
            character_seconds=self.character_seconds,
            settle_seconds=self.settle_seconds,
            test_seconds=self.test_seconds,
            test_bytes=self.test_bytes,
            sign_off_seconds=self.sign_off_seconds,
        )

    def modem_limits(self) -> LineLimits:
        """For the lines of the bank."""
        return replace(
            self.limits(),
            reply_seconds=self.modem_reply_seconds,
            character_seconds=self.modem_character_seconds,
            settle_seconds=self.modem_settle_seconds,
            test_seconds=self.modem_test_seconds,
            sign_off_seconds=2 * self.sign_off_seconds,
        )

    def pace(self) -> Pace:
        return Pace(
            calls_per_ask=self.calls_per_ask,
            want_seconds=self.want_seconds,
            alive_seconds=self.alive_seconds,
            drain_seconds=self.drain_seconds,
            give_back_seconds=self.give_back_seconds,
        )
