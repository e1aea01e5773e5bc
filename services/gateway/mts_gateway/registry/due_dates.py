"""The due dates of contracts that come into the registry, where their file does not give them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from mts_gateway.registry.items import Item
from mts_gateway.warranty.due_date import Reading, due_date


def calculate(
    contracts: Sequence[Item],
    readings: Mapping[object, Sequence[Reading]],
    daily_rates: Mapping[object, object],
    today: date,
) -> None:
    """Fill in the due dates of the contract meters and the expirations of the contracts that are not given.

    `readings` and `daily_rates` are by the meters' ids.
    """
    for contract in contracts:
        meters = contract.nested("contractMeters")
        for meter in meters:
            if "CalculatedDueDate" not in meter.given:
                meter_id = meter.values["MeterId"]
                due = due_date(
                    readings.get(meter_id, ()),
                    Decimal(str(meter.values["MeterStartValue"])),
                    _decimal(meter.values["MeterIntervalValue"]),
                    _decimal(daily_rates.get(meter_id)),
                    date.fromisoformat(str(contract.values["ContractStartDate"])),
                )
                meter.values["CalculatedDueDate"] = None if due is None else due.isoformat()
        if "CalculatedExpirationDate" not in contract.given:
            dates = [str(meter.values["CalculatedDueDate"]) for meter in meters if _expires(meter, today)]
            contract.values["CalculatedExpirationDate"] = max(dates, default=None)


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _expires(meter: Item, today: date) -> bool:
    """Whether the contract lasts as long as this meter."""
    ended = meter.values["ActiveEndDate"]
    return meter.values["CalculatedDueDate"] is not None and (ended is None or str(ended) > today.isoformat())
