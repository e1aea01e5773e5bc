"""The settings of the scheduler."""

from __future__ import annotations

from datetime import time

from pydantic import Field

from mts_common.messages import FailureKind, RunWindow
from mts_common.settings import DatabaseSettings
from mts_scheduler.decide import Rules

_NIGHT = RunWindow(opens=time(22), closes=time(6), zone="Europe/London")


class SchedulerSettings(DatabaseSettings):
    """When and how often tests are tried, and how long is waited for whom."""

    run_windows: tuple[RunWindow, ...] = Field(
        default=(_NIGHT,),
        min_length=1,
        description="When overnight tests run, unless the client has windows of its own",
    )
    max_missed_windows: int = Field(
        default=7, ge=1, description="Windows (for an immediate test: days) through which a test waits for a line"
    )
    max_tries: int = Field(default=3, ge=1, le=100, description="Tries that a test has")
    retry_pause_seconds: float = Field(default=30.0, ge=0, description="Pause before a test is tried again")
    retry_pauses: dict[FailureKind, float] = Field(
        default_factory=dict, description='Other pauses by kind of failure, as JSON: {"busy": 60}'
    )
    lease_seconds: float = Field(default=120.0, gt=0, description="How long a silent dialler keeps its calls")
    quarantine_seconds: float = Field(
        default=180.0, ge=0, description="How long a lost call's address is left alone: the meter must have hung up"
    )
    settle_after_seconds: float = Field(default=60.0, gt=0, description="When results is asked what reached it")
    job_keep_days: int = Field(
        default=430, ge=1, description="Days that an ended job is remembered: more than in results"
    )
    country_code: str = Field(default="44", pattern="^[1-9][0-9]{0,2}$", description="Calling code of national numbers")

    @property
    def rules(self) -> Rules:
        """The settings by which ends of attempts are decided."""
        return Rules(self.max_tries, self.retry_pause_seconds, self.retry_pauses)
