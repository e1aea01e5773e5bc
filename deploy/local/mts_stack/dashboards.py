"""What is made of other files for those who watch MTS: Grafana's dashboards, and the rules as a resource of Kubernetes.

`python -m mts_stack.dashboards` (make dashboards) writes all of it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mts_stack.grafana import load, render
from mts_stack.paths import ROOT

SOURCES = ROOT / "deploy" / "grafana" / "sources"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "observability" / "rules.yml"
RULES_RESOURCE = ROOT / "deploy" / "k8s" / "base" / "rules.yaml"

_HEAD = "# Made by `make dashboards` from deploy/observability/rules.yml; not to be edited by hand.\n"


def files() -> Mapping[Path, str]:
    """Every file that is made, with its text."""
    return {DASHBOARDS / f"{source.stem}.json": _dashboard(source) for source in sorted(SOURCES.glob("*.yaml"))} | {
        RULES_RESOURCE: _HEAD + yaml.safe_dump(_resource(), sort_keys=False, width=120)
    }


def _dashboard(source: Path) -> str:
    return json.dumps(render(load(source), source.stem), indent=1, ensure_ascii=False) + "\n"


def _resource() -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "mts", "labels": {"app.kubernetes.io/part-of": "mts"}},
        "spec": yaml.safe_load(RULES.read_text("utf-8")),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, "utf-8")
