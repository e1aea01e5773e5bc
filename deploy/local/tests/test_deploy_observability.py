"""Dashboards and rules: made of their sources, written for metrics that exist, and fit for Grafana and Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mts_common import metrics
from mts_common.exposition import prometheus_name
from mts_common.instruments import Counter, Foreign, Gauge
from mts_stack.dashboards import DASHBOARDS, RULES, SOURCES, files
from mts_stack.grafana import load
from mts_stack.manifests import render
from mts_stack.paths import ROOT
from mts_stack.prometheus import promtool

RULE_TESTS = RULES.with_name("rules_test.yml")

# What others show: Prometheus itself, its client library, and RabbitMQ's plugin.
FOREIGN = {
    "up",
    "ALERTS",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "rabbitmq_queue_messages",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
}
FOREIGN_LABELS = {"job", "instance", "le", "queue", "alertname", "alertstate"}

Rule = dict[str, Any]


def rules() -> list[Rule]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[Rule]:
    return [rule for rule in rules() if "alert" in rule]


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression with where it stands; what Grafana puts in is put in."""
    for rule in rules():
        yield str(rule.get("alert") or rule["record"]), rule["expr"]
    for source in SOURCES.glob("*.yaml"):
        for expression in load(source).expressions:
            yield source.name, re.sub(r"\$__(rate_interval|range)", "5m", expression).replace("$client", "1")
    for resource in render(ROOT / "deploy" / "k8s" / "overlays" / "production"):
        if resource["kind"] == "ScaledObject":
            for trigger in resource["spec"]["triggers"]:
                yield "ScaledObject", trigger["metadata"]["query"]


# What PromQL names


def series_names() -> set[str]:
    """The names of all series that we show."""
    found = set()
    for instrument in metrics.ALL.values():
        name = prometheus_name(instrument.name, instrument.unit)
        if isinstance(instrument, Counter):
            found.add(f"{name}_total")
        elif isinstance(instrument, Gauge):
            found.add(name)
        else:
            found |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
        if isinstance(instrument, Foreign):
            found.add(name)
    return found


def label_names() -> set[str]:
    return {label.replace(".", "_") for instrument in metrics.ALL.values() for label in instrument.labels}


_STRING = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"{([^}]*)}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NUMBER = re.compile(r"\b[0-9.]+(e[0-9]+)?\b|\[[^\]]*\]")
_NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """The series and the labels that an expression names."""
    text = _STRING.sub("", expression)
    labels = {name for part in _MATCHERS.findall(text) for name in re.findall(r"(\w+)\s*[=!]", part)}
    labels |= {name.strip() for part in _GROUPING.findall(text) for name in part.split(",")}
    for taken in (_MATCHERS, _GROUPING, _NUMBER):
        text = taken.sub(" ", text)
    return set(_NAME.findall(text)) - {"and", "or", "unless", "bool", "by", "on"}, labels


def test_names_are_found_in_an_expression() -> None:
    expression = 'sum by (a, le) (rate(x_total{b=~"y z"}[5m])) / on (c) (q:w > 1e8) and absent(u)'
    assert names_in(expression) == ({"x_total", "q:w", "u"}, {"a", "le", "b", "c"})


def test_rules_and_dashboards_name_series_and_labels_that_exist() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known, known_labels = series_names() | FOREIGN | recorded, label_names() | FOREIGN_LABELS
    for place, expression in expressions():
        names, labels = names_in(expression)
        assert names, f"{place}: nothing is named"
        assert names <= known, f"{place}: {names - known}"
        assert labels <= known_labels, f"{place}: {labels - known_labels}"


def test_every_metric_of_ours_is_on_a_dashboard() -> None:
    shown = {name for _, expression in expressions() for name in names_in(expression)[0]}
    missing = [
        instrument.name
        for instrument in metrics.ALL.values()
        if not any(name.startswith(prometheus_name(instrument.name, instrument.unit)) for name in shown)
    ]
    assert not missing


# Prometheus


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    every = [{"record": f"n{number}", "expr": text} for number, (_, text) in enumerate(expressions())]
    (tmp_path / "every.yml").write_text(yaml.safe_dump({"groups": [{"name": "every", "rules": every}]}), "utf-8")
    read = promtool(tmp_path, "check", "rules", "every.yml")
    assert read.returncode == 0, read.stdout + read.stderr
    assert f"{len(every)} rules found" in read.stdout


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    for what, file in (("rules", "rules.yml"), ("config", "prometheus.yml")):
        taken = promtool(RULES.parent, "check", what, *(("--syntax-only",) if what == "config" else ()), file)
        assert taken.returncode == 0, taken.stdout + taken.stderr


def test_the_rules_pass_their_unit_tests() -> None:
    tested = promtool(RULES.parent, "test", "rules", RULE_TESTS.name)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    cases: dict[str, set[bool]] = {}
    for test in yaml.safe_load(RULE_TESTS.read_text("utf-8"))["tests"]:
        for case in test.get("alert_rule_test", ()):
            cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert cases == {rule["alert"]: {True, False} for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule: Rule) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings


# What is made


def test_what_is_made_of_the_sources_is_committed() -> None:
    made = files()
    assert {path: path.read_text("utf-8") for path in made} == made
    assert set(DASHBOARDS.glob("*.json")) == {path for path in made if path.parent == DASHBOARDS}


def test_panels_do_not_overlap_and_have_titles_of_their_own() -> None:
    for file in DASHBOARDS.glob("*.json"):
        panels = json.loads(file.read_text("utf-8"))["panels"]
        titles = [panel["title"] for panel in panels if panel["type"] != "row"]
        assert len(titles) == len(set(titles))
        assert len(panels) == len({panel["id"] for panel in panels})
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in panels):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not taken & cells
            assert all(x < 24 for x, _ in cells)
            taken |= cells


def test_a_metric_that_belongs_to_a_trace_leads_to_it() -> None:
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/mts.yaml").read_text("utf-8"))[
        "datasources"
    ]
    (prometheus,) = [source for source in sources if source["type"] == "prometheus"]
    (destination,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert destination == {"name": "trace_id", "datasourceUid": "jaeger"}
    assert destination["datasourceUid"] in {source["uid"] for source in sources}
    targets = [
        target
        for file in DASHBOARDS.glob("*.json")
        for panel in json.loads(file.read_text("utf-8"))["panels"]
        for target in panel.get("targets", ())
    ]
    assert any(target["exemplar"] for target in targets)
