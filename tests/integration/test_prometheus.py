"""A real Prometheus scrapes the running platform; its rules load, and fire when something is wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mts_common.topology import EXCHANGE, RESULTS_OUTCOMES
from mts_metersim.presets import fleet
from mts_stack.dashboards import RULES
from mts_stack.otlp import Collector, collector
from mts_stack.processes import wait_until
from mts_stack.prometheus import Prometheus, prometheus
from mts_stack.testing import StackUnderTest

SECONDS = 40.0


def impatient() -> dict[str, Any]:
    """The rules, without the time for which something must last before somebody is called."""
    rules: dict[str, Any] = copy.deepcopy(yaml.safe_load(RULES.read_text("utf-8")))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    return rules


def shows(server: Prometheus, expression: str, wanted: float) -> Callable[[], bool]:
    return lambda: [value for _, value in server.query(expression)] == [wanted]


@pytest.mark.timeout(240)
def test_prometheus_scrapes_all_services_and_its_rules_fire_on_faults(start_stack: Any, tmp_path: Path) -> None:
    rules = impatient()
    with collector() as collected:
        stack: StackUnderTest = start_stack(fleet("healthy", 1), **settings(collected))
        targets = {name: stack.services.metrics_target(name) for name in stack.services.names}
        with prometheus(tmp_path, targets, rules) as server:
            assert wait_until(shows(server, "sum(up)", 4), SECONDS)
            assert stack.outcome(stack.request(stack.fleet.meters[0]))["result"] == "SUCCESS"
            assert wait_until(shows(server, 'sum(mts_tests_completed_total{mts_outcome="success"})', 1), SECONDS)
            assert wait_until(shows(server, 'sum(mts_attempts_total{mts_failure=""})', 1), SECONDS)
            assert wait_until(lambda: set(server.rules().values()) == {"ok"}, SECONDS), server.rules()
            assert len(server.rules()) == sum(len(group["rules"]) for group in rules["groups"])
            assert wait_until(lambda: server.firing() == set(), SECONDS), server.firing()

            requests = {span.trace for span in collected.spans if span.name == "POST /MTS/test-request"}
            read = server.exemplars("mts_attempt_duration_seconds_bucket")
            assert {exemplar["labels"]["trace_id"] for exemplar in read} == requests

            stack.management.publish(EXCHANGE, RESULTS_OUTCOMES.kinds[0].kind, "this is no JSON")
            assert wait_until(lambda: "MtsDeadLetters" in server.firing(), SECONDS), server.firing()
            stack.services.stop()
            assert wait_until(lambda: "MtsServiceDown" in server.firing(), SECONDS), server.firing()


def settings(collected: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRICS_EXPORTER": "none",
    }
