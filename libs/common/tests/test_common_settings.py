"""The settings that every service has."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mts_common.settings import DatabaseSettings


def test_a_refused_setting_is_named_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTS_AMQP_URL", "amqp://mts:hunter2@broker")
    monkeypatch.delenv("MTS_POSTGRES_URL", raising=False)
    monkeypatch.setenv("MTS_POOL_SIZE", "hunter2")
    with pytest.raises(ValidationError, match="postgres_url") as refused:
        DatabaseSettings()
    assert "pool_size" in str(refused.value)
    assert "hunter2" not in str(refused.value)
