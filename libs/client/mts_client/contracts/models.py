"""What the contract meters API sends, with its attribute names as aliases. Numbers are exact, times aware and UTC."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from mts_client.models import UtcTime


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_pascal,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


class _Item(_Model):
    created_by: str
    creation_date: UtcTime
    last_update_date: UtcTime
    last_updated_by: str
    links: tuple[dict[str, Any], ...] = Field(default=(), alias="links", repr=False)

    @property
    def version(self) -> str | None:
        """What `If-Match` is compared with, if the item came with its links."""
        found = (link["properties"]["changeIndicator"] for link in self.links if "properties" in link)
        return next(found, None)


class Contract(_Item):
    """A warranty contract; it expires with the last of its meters that are in force."""

    contract_id: int
    contract_number: str
    asset_number: str
    coverage_code: str | None = None
    coverage_id: int | None = None
    contract_status_code: str
    contract_start_date: date
    contract_end_date: date | None = None
    calculated_expiration_date: date | None = None
    contract_notes: str | None = None
    external_reference_number: str | None = None


class ContractMeter(_Item):
    """A counter that a contract limits, and the day on which it will have counted that much."""

    contract_meter_id: int
    contract_id: int
    meter_id: int
    meter_code: str
    meter_name: str
    meter_description: str | None = None
    uom_code: str = Field(alias="UOMCode")
    unit_of_measure: str
    meter_start_value: Decimal
    meter_interval_value: Decimal | None = None
    meter_end_value: Decimal | None = None
    calculated_due_date: date | None = None
    active_end_date: date | None = None
    disabled_flag: bool


class Page(_Model):
    """A page of a collection; `limit` is the server's own."""

    items: tuple[Any, ...] = Field(alias="items")
    has_more: bool = Field(alias="hasMore")
    limit: int = Field(alias="limit")
    offset: int = Field(alias="offset")


class ContractPage(Page):
    """A page of contracts."""

    items: tuple[Contract, ...] = Field(alias="items")


class ContractMeterPage(Page):
    """A page of a contract's meters."""

    items: tuple[ContractMeter, ...] = Field(alias="items")
