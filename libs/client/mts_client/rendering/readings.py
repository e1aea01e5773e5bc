"""What carbonTRACK tells of devices and their measurements, as tables and as plots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.text import Text

from mts_client.carbontrack.models import VALUE_NAMES, Device, Measurement
from mts_client.models import SurveyChannel, SurveyReading
from mts_client.rendering.layout import number_text, paragraph, table, time_text
from mts_client.rendering.survey import Range, drawn

_UNITS = {"Power": "kW", "Generating": "kW", "PowerVAH": "VAh", "PowerFactor": ""}
_INDENT = "  "


def devices(found: Sequence[Device]) -> Text:
    """Devices with what identifies them and what was last heard of them."""
    rows = [
        (
            device.device_id,
            device.device_name or "",
            device.customer_ref or "",
            "yes" if device.is_registered else "no",
            device.ip_address or "",
            time_text(device.status_updated),
            time_text(device.data_updated),
        )
        for device in found
    ]
    headings = ("DEVICE", "NAME", "CUSTOMER", "REGISTERED", "IP ADDRESS", "LAST TEST", "LAST READING")
    return table(headings, rows)


def measurements(found: Sequence[Measurement]) -> Text:
    """A row per interval, and a column per value that any of them has."""
    names = _names(found)
    rows = [(time_text(record.starts_at), *(_cell(record, name) for name in names)) for record in found]
    return table(("STARTS AT", *names), rows)


def plot(found: Sequence[Measurement], start: datetime, end: datetime) -> Text:
    """The course of each value from `start` to `end`, with its extremes and what is missing."""
    channels = [
        SurveyChannel(
            name=name,
            units=_unit(name),
            readings=tuple(
                SurveyReading(timestamp=record.starts_at, value=record.values[name])
                for record in found
                if name in record.values
            ),
        )
        for name in _names(found)
    ]

    def asked(period: timedelta) -> Range:
        """Both ends are intervals' starts; there is none that begins later than the last one that fits."""
        first = min(record.starts_at for record in found)
        before, after = (first - start) // period, (end - first) // period
        return Range(first - before * period, first + (after + 1) * period)

    title, lines = drawn("Measurements", channels, asked)
    return Text.assemble((f"{title}\n", "bold"), paragraph(lines, _INDENT))


def _names(found: Sequence[Measurement]) -> list[str]:
    """Names of the values that there are; those that are not known here stand last."""
    there = dict.fromkeys(name for record in found for name in record.values)
    return [*(name for name in VALUE_NAMES if name in there), *(name for name in there if name not in VALUE_NAMES)]


def _cell(record: Measurement, name: str) -> str:
    return number_text(record.values[name]) if name in record.values else ""


def _unit(name: str) -> str:
    known = max((prefix for prefix in _UNITS if name.startswith(prefix)), key=len, default="")
    return _UNITS.get(known, "")
