"""What the gateway is told by its environment, and the limits of the API that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mts_common.settings import DatabaseSettings, MeterKeys


class Limits(BaseModel):
    """The limits that a client is held to; `GET /MTS/limits` shows them."""

    model_config = ConfigDict(frozen=True)

    calls_per_window: int
    window_seconds: int
    max_batch_tests: int
    max_survey_days: int
    max_search_days: int
    max_search_limit: int
    default_search_limit: int
    max_body_bytes: int


class GatewaySettings(DatabaseSettings):
    """All settings of the gateway; names and defaults of the limits: mts-api.md, "Limits"."""

    meter_keys: MeterKeys = Field(description="Fernet keys of meter passwords, comma separated; the first seals")
    http_host: str = Field(default="127.0.0.1", description="Where the API listens")
    http_port: int = Field(default=8443, ge=0, le=65535, description="Port of the API; 0 = any free port")
    tls_cert: Path | None = Field(default=None, description="PEM certificate chain; with it the API speaks TLS itself")
    tls_key: Path | None = Field(default=None, description="PEM key of the certificate")
    trust_proxy: bool = Field(default=False, description="Believe X-Forwarded-Proto: a proxy in front ends TLS")
    country_code: str = Field(default="44", pattern="^[1-9][0-9]{0,2}$", description="Calling code of national numbers")
    mask_passwords: bool = Field(default=False, description="Show meter passwords in test-status as asterisks")
    rate_limit_calls: int = Field(default=600, ge=1, description="Calls of a client in one window")
    rate_limit_seconds: int = Field(default=60, ge=1, description="Length of the window")
    max_batch_tests: int = Field(default=10_000, ge=1, description="Tests in one batch")
    max_survey_days: int = Field(default=100, ge=0, description="Survey days of one test")
    max_search_days: int = Field(default=366, ge=1, description="Time range of a search")
    max_search_limit: int = Field(default=1000, ge=1, description="Most results of one search")
    default_search_limit: int = Field(default=100, ge=1, description="Results of a search that sets no limit")
    max_body_bytes: int = Field(default=8 * 1024**2, ge=1024, description="Size of a request body")
    max_requests: int = Field(default=1000, ge=1, description="Requests handled at one time; more are put off with 503")
    keep_days: int = Field(default=400, ge=1, description="Days after which a test is forgotten, as in results")
    gateway_ct_token_ttl: int = Field(
        default=3600, ge=1, description="Seconds that a carbonTRACK access token is valid"
    )
    gateway_ct_require_tls: bool = Field(
        default=False, description="Refuse carbonTRACK calls that a proxy says came over plain HTTP"
    )
    gateway_public_base_url: str | None = Field(
        default=None,
        pattern="^https?://[^/]+$",
        description="Origin in the contract API's links; unset = as asked",
    )
    settle_after_seconds: float = Field(default=60.0, gt=0, description="When the told are asked what reached them")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("MTS_TLS_CERT and MTS_TLS_KEY are set together or not at all")
        if self.default_search_limit > self.max_search_limit:
            raise ValueError("MTS_DEFAULT_SEARCH_LIMIT is over MTS_MAX_SEARCH_LIMIT")
        return self

    @property
    def limits(self) -> Limits:
        """The limits among the settings."""
        return Limits(
            calls_per_window=self.rate_limit_calls,
            window_seconds=self.rate_limit_seconds,
            max_batch_tests=self.max_batch_tests,
            max_survey_days=self.max_survey_days,
            max_search_days=self.max_search_days,
            max_search_limit=self.max_search_limit,
            default_search_limit=self.default_search_limit,
            max_body_bytes=self.max_body_bytes,
        )
