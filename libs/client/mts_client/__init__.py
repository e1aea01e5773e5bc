"""Python SDK of the MTS API; the `mts` command line is `mts_client.cli`."""

from mts_client.client import AsyncMtsClient, MtsClient
from mts_client.config import Config
from mts_client.errors import (
    BadRequest,
    ConnectFailed,
    ConnectionBroken,
    Forbidden,
    Modified,
    MtsError,
    NotConfigured,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    ServiceUnavailable,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    WaitExpired,
)
from mts_client.models import BatchStatus, Dialect, MeterTest, MeterTestStatus, Outcome, Search, SearchStatus
from mts_client.procedures import RetryPolicy

__all__ = [
    "AsyncMtsClient",
    "BadRequest",
    "BatchStatus",
    "Config",
    "ConnectFailed",
    "ConnectionBroken",
    "Dialect",
    "Forbidden",
    "MeterTest",
    "MeterTestStatus",
    "Modified",
    "MtsClient",
    "MtsError",
    "NotConfigured",
    "NotFound",
    "Outcome",
    "RateLimited",
    "Refused",
    "RetryPolicy",
    "Search",
    "SearchStatus",
    "ServerError",
    "ServiceUnavailable",
    "TimedOut",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "WaitExpired",
]
