"""The settings of results."""

from __future__ import annotations

from pydantic import Field

from mts_common.settings import DatabaseSettings


class ResultsSettings(DatabaseSettings):
    """Results needs the broker, its own schemas and how long and in what ranges tests are kept."""

    keep_days: int = Field(default=400, ge=1, description="Days after which a range of tests is dropped")
    trace_keep_days: int = Field(
        default=90, ge=1, description="Days after which the wire traces of a range of tests are deleted"
    )
    reading_keep_months: int = Field(
        default=120, ge=1, description="Months after which the readings of devices are dropped"
    )
    partition_tests: int = Field(default=100_000, ge=1, description="Tests in one partition")
