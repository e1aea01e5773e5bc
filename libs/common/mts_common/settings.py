"""The settings every service has, read once from the environment (`MTS_…`) and passed down frozen."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """What a service without a database needs. Secrets hide themselves in a repr."""

    # A setting that is refused is named, but not shown: what was given may be another's secret.
    model_config = SettingsConfigDict(env_prefix="MTS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    amqp_url: SecretStr = Field(description="RabbitMQ, as amqp://user:password@host:port/vhost")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged")
    health_host: str = Field(default="127.0.0.1", description="Where /health/live, /health/ready and /metrics listen")
    health_port: int = Field(default=0, ge=0, le=65535, description="Their port, plain HTTP; 0 = any free port")


class DatabaseSettings(Settings):
    """What a service that owns a schema needs."""

    postgres_url: SecretStr = Field(description="PostgreSQL, with the service's own role")
    pool_size: int = Field(default=10, ge=2, le=100, description="Most database connections of this process")
    statement_seconds: float = Field(default=30.0, gt=0, description="Longest one database statement may take")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


MeterKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split), Field(min_length=1)]
"""Fernet keys, comma separated; the first seals, every one opens."""
