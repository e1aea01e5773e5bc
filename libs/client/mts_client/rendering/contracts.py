"""Warranty contracts and their meters, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from rich.text import Text

from mts_client.contracts.models import Contract, ContractMeter
from mts_client.rendering.layout import number_text, table


def contracts(found: Sequence[Contract]) -> Text:
    """Contracts with when they begin, end and are expected to expire."""
    rows = [
        (
            str(contract.contract_id),
            contract.contract_number,
            contract.asset_number,
            contract.contract_status_code,
            _day(contract.contract_start_date),
            _day(contract.contract_end_date),
            _day(contract.calculated_expiration_date),
        )
        for contract in found
    ]
    return table(("CONTRACT", "NUMBER", "ASSET", "STATUS", "STARTS", "ENDS", "EXPIRES"), rows)


def contract_meters(found: Sequence[ContractMeter]) -> Text:
    """The meters of a contract with the values that they count from and to, and the days on which they are due."""
    rows = [
        (
            str(meter.contract_meter_id),
            meter.meter_code,
            meter.unit_of_measure,
            number_text(meter.meter_start_value),
            _number(meter.meter_end_value),
            _day(meter.calculated_due_date),
            _day(meter.active_end_date) if meter.disabled_flag else "",
        )
        for meter in found
    ]
    return table(("CONTRACT METER", "CODE", "UNIT", "FROM", "TO", "DUE", "DISABLED"), rows)


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _number(value: Decimal | None) -> str:
    return "" if value is None else number_text(value)
