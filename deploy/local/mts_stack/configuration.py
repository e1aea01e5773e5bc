"""docs/configuration.md: every setting of every service, as the Settings classes declare them.

`python -m mts_stack.configuration` writes the page anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import time
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mts_common.settings import DatabaseSettings, Settings
from mts_dialler.settings import DiallerSettings
from mts_gateway.settings import GatewaySettings
from mts_results.settings import ResultsSettings
from mts_scheduler.settings import SchedulerSettings
from mts_stack.paths import ROOT

PAGE = ROOT / "docs" / "configuration.md"

SETTINGS: Mapping[str, type[Settings]] = MappingProxyType(
    {
        "gateway": GatewaySettings,
        "scheduler": SchedulerSettings,
        "dialler": DiallerSettings,
        "results": ResultsSettings,
    }
)

_HEAD = """\
# Configuration

Made by `make configuration` from the services' settings; not to be edited by hand.

Every service reads its settings from the environment when it starts, and refuses to start if one is missing or makes
no sense. A name means the same in every service that reads it; names that a service does not know are ignored. Times
are in seconds unless the name says otherwise. Lists and tables are JSON where the text says so.

With `OTEL_EXPORTER_OTLP_ENDPOINT` (for example `http://collector:4318`) spans and metrics are sent there over
OTLP/HTTP; without it nothing is sent. `OTEL_METRICS_EXPORTER=none` sends spans alone, where the metrics are scraped.
OpenTelemetry's other `OTEL_…` settings of the exporters work too.
"""


def variable(name: str) -> str:
    """The environment's name of a field."""
    return f"MTS_{name.upper()}"


def required(settings: type[Settings]) -> set[str]:
    """The variables without which a service does not start."""
    return {variable(name) for name, field in settings.model_fields.items() if field.is_required()}


def page() -> str:
    """The whole page."""
    sections = [
        _section("All services", "Gateway, scheduler, dialler and results.", Settings, ()),
        _section(
            "Services with a database", "Gateway, scheduler and results.", DatabaseSettings, Settings.model_fields
        ),
    ]
    for service, settings in SETTINGS.items():
        shared = DatabaseSettings if issubclass(settings, DatabaseSettings) else Settings
        sections.append(_section(service.capitalize(), "", settings, shared.model_fields))
    return "\n".join([_HEAD, *sections])


def _section(title: str, text: str, settings: type[Settings], without: Iterable[str]) -> str:
    known = set(without)
    rows = [
        f"| `{variable(name)}` | {_default(field)} | {_meaning(field)} |"
        for name, field in settings.model_fields.items()
        if name not in known
    ]
    lines = [
        f"## {title}",
        "",
        *([text, ""] if text else []),
        "| setting | default | meaning |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _meaning(field: FieldInfo) -> str:
    if not field.description:
        raise ValueError("a setting without a description")
    limits = [
        f"{words} {getattr(limit, kind)}"
        for limit in field.metadata
        for kind, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"))
        if hasattr(limit, kind)
    ]
    return field.description.replace("|", "\\|") + (f" ({', '.join(limits)})" if limits else "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is PydanticUndefined:
        factory: Any = field.default_factory
        made = factory()
        return f"`{_text(made)}`" if made == {} else "made at each start"
    return "none" if field.default in {None, ()} else f"`{_text(field.default)}`"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return dict(value)
    return value.isoformat("minutes") if isinstance(value, time) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
