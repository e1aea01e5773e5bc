"""A test travels through all services; what is killed comes back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mts_metersim.presets import fleet
from mts_stack.testing import StackUnderTest

HALF_HOURS = 48


@pytest.mark.parametrize("index", range(5), ids=lambda index: fleet("healthy")[index].meter_type)
def test_a_healthy_meter_of_each_type_is_read(stack: StackUnderTest, index: int) -> None:
    meter = stack.fleet.meters[index]
    days = 0 if meter["meterType"] == "ISKRA_MT174" else 2
    status = stack.outcome(stack.request(meter, surveyDays=days))
    assert status["result"] == "SUCCESS"
    assert status["serialNumber"] == meter["serialNumber"]
    assert any(group["registerValues"] for group in status["registers"])
    lengths = {len(channel["readings"]) for channel in status.get("surveyData", [])}
    assert lengths == ({days * HALF_HOURS} if days else set())


def test_a_wrong_password_is_an_error_after_one_call(stack: StackUnderTest) -> None:
    meter = stack.fleet.meters[0]
    before = len(sign_ons(stack, meter))
    status = stack.outcome(stack.request(meter, password=meter["password"][::-1]))
    assert status["result"].startswith("ERROR: ")
    assert len(sign_ons(stack, meter)) == before + 1


def test_tests_survive_the_kill_of_every_service(start_stack: Any) -> None:
    stack: StackUnderTest = start_stack(MTS_LEASE_SECONDS="4", MTS_ALIVE_SECONDS="1", MTS_QUARANTINE_SECONDS="1")
    for name in ("scheduler", "results", "dialler", "gateway"):
        test_id = stack.request(stack.fleet.meters[0])
        stack.services.kill(name)
        stack.services.start(name)
        assert stack.outcome(test_id)["result"] == "SUCCESS"


def test_plain_http_is_not_served(stack: StackUnderTest) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(stack.services.api_url.replace("https", "http") + "/service-status")


def sign_ons(stack: StackUnderTest, meter: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls to a meter, by the simulator's own log."""
    return [
        call for call in stack.fleet.calls() if call["event"] == "sign_on" and call["serial"] == meter["serialNumber"]
    ]
