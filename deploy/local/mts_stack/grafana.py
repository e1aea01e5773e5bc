"""Dashboards in Grafana's JSON, from descriptions in YAML that say no more than what is to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
SCHEMA_VERSION = 39  # of Grafana 11
COLUMNS = 24
HEIGHT = 8


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Panel(_Described):
    """A graph, or with `kind` stat or table the latest values.

    `queries` are PromQL by the name of their series, with labels in double braces; `unit` is one of Grafana's; from
    `limit` on it is not well, or with `bad_below` under it.
    """

    title: str
    text: str = ""
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    unit: str = "short"
    width: int = 8
    stacked: bool = False
    limit: float | None = None
    bad_below: bool = False
    queries: dict[str, str]


class Row(_Described):
    """Panels under a heading, side by side for as long as they fit."""

    title: str
    panels: tuple[Panel, ...]


class Variable(_Described):
    """What the reader chooses: a value of a label."""

    name: str
    label: str
    query: str


class Dashboard(_Described):
    """A page."""

    title: str
    text: str
    since: str = "now-6h"
    variables: tuple[Variable, ...] = ()
    rows: tuple[Row, ...]

    @property
    def expressions(self) -> list[str]:
        """Every expression of every panel."""
        return [query for row in self.rows for panel in row.panels for query in panel.queries.values()]


def load(file: Path) -> Dashboard:
    """A description. Raises pydantic's ValidationError for what is not one."""
    return Dashboard.model_validate(yaml.safe_load(file.read_text("utf-8")))


def render(dashboard: Dashboard, uid: str) -> dict[str, Any]:
    """The dashboard as Grafana reads it; `uid` is its address."""
    return {
        "uid": uid,
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["mts"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": dashboard.since, "to": "now"},
        "timezone": "utc",
        "links": [{"type": "dashboards", "title": "MTS", "tags": ["mts"], "asDropdown": True, "keepTime": True}],
        "templating": {"list": [_variable(variable) for variable in dashboard.variables]},
        "panels": list(_panels(dashboard.rows)),
    }


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }
        top, left = top + 1, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left = top + HEIGHT, 0
            number += 1
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": HEIGHT})
            left += panel.width
        top += HEIGHT


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": PROMETHEUS,
        "gridPos": place,
        "fieldConfig": {"defaults": _look(panel), "overrides": []},
        "targets": [
            _target(panel, letter, name, query)
            for letter, (name, query) in zip("ABCDEF", panel.queries.items(), strict=False)
        ],
    }


def _look(panel: Panel) -> dict[str, Any]:
    look: dict[str, Any] = {"unit": panel.unit}
    if panel.unit != "dBm":
        look["min"] = 0
    if panel.kind == "timeseries":
        look["custom"] = {
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "off" if panel.limit is None else "dashed"},
        }
    if panel.limit is not None:
        before, after = ("red", "green") if panel.bad_below else ("green", "red")
        steps = [{"value": None, "color": before}, {"value": panel.limit, "color": after}]
        look["thresholds"] = {"mode": "absolute", "steps": steps}
    return look


def _target(panel: Panel, letter: str, name: str, query: str) -> dict[str, Any]:
    over_time = panel.kind == "timeseries"
    return {
        "refId": letter,
        "datasource": PROMETHEUS,
        "expr": query,
        "legendFormat": name,
        "instant": not over_time,
        "range": over_time,
        "format": "table" if panel.kind == "table" else "time_series",
        "exemplar": over_time and "_bucket" in query,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": PROMETHEUS,
        "query": {"query": variable.query, "refId": variable.name},
        "definition": variable.query,
        "refresh": 2,
        "sort": 3,
    }
