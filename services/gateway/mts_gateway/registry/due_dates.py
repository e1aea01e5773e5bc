"""The due dates of contracts that come into the registry, where their file does not give them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from mts_gateway.registry.items import Item
from mts_gateway.warranty.recalculation import Terms


def undated(contracts: Sequence[Item], meters: Sequence[Item]) -> list[tuple[Item, Terms]]:
    """The contract meters whose due dates are not given, and what these depend on; `meters` are the registry's."""
    rates = {item.values["meterId"]: item.values["baseDailyRate"] for item in meters}
    return [
        (
            meter,
            Terms(
                meter_id=int(str(meter.values["MeterId"])),
                start=Decimal(str(meter.values["MeterStartValue"])),
                interval=_decimal(meter.values["MeterIntervalValue"]),
                base_daily_rate=_decimal(rates.get(meter.values["MeterId"])),
                contract_start=date.fromisoformat(str(contract.values["ContractStartDate"])),
            ),
        )
        for contract in contracts
        for meter in contract.nested("contractMeters")
        if "CalculatedDueDate" not in meter.given
    ]


def date_meters(found: Sequence[tuple[Item, Terms]], dates: Sequence[date | None]) -> None:
    """Give the contract meters of `undated` their due dates."""
    for (meter, _), due in zip(found, dates, strict=True):
        meter.values["CalculatedDueDate"] = None if due is None else due.isoformat()


def date_contracts(contracts: Sequence[Item], today: date) -> None:
    """Contracts whose expiration is not given expire with the last of their enabled meters."""
    for contract in contracts:
        if "CalculatedExpirationDate" not in contract.given:
            meters = contract.nested("contractMeters")
            dates = [str(meter.values["CalculatedDueDate"]) for meter in meters if _expires(meter, today)]
            contract.values["CalculatedExpirationDate"] = max(dates, default=None)


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _expires(meter: Item, today: date) -> bool:
    """Whether the contract lasts as long as this meter."""
    ended = meter.values["ActiveEndDate"]
    return meter.values["CalculatedDueDate"] is not None and (ended is None or str(ended) > today.isoformat())
