"""What carbonTRACK sends, with its property names as aliases. Numbers are exact; a time is aware and UTC."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic.alias_generators import to_pascal

from mts_client.models import UtcTime

VALUE_NAMES = (
    *("PowerUsage", "Generating", "PowerExported", "PowerUsageNet", "PowerExportedNet"),
    *(f"{name}{phase}" for name in ("Power", "PowerVAH", "PowerFactor") for phase in "1234"),
    *(f"Power{phase}N" for phase in "1234"),
    *(f"Temperature{number}" for number in range(1, 9)),
    *("Irradiation", "BatteryCharge", "Flow", "Voltage", "SignalStrength"),
)
"""The values of a record by their names in the API, those of the whole meter first."""

_NOT_VALUES = ("ID", "DeviceID", "RecordDateTime")


def _ungrouped(value: object) -> object:
    return value.replace(",", "") if isinstance(value, str) else value


Number = Annotated[Decimal, BeforeValidator(_ungrouped)]
"""A number as carbonTRACK formats it: a text, with commas between thousands."""


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_pascal,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )


class Grant(BaseModel):
    """The answer of the token endpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    access_token: SecretStr
    expires_in: int
    refresh_token: SecretStr | None = None


class Distributor(_Model):
    """A distributor that the user sees."""

    id: UUID = Field(alias="ID")
    user_name: str


class Customer(_Model):
    """A customer with the ids of its devices."""

    customer_id: UUID
    account_number: str
    devices: tuple[str, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    user_id: UUID | None = None
    user_name: str | None = None
    mobile: str | None = None
    day_time_contact: str | None = None
    work_contact: str | None = None
    location: str | None = None
    distributor_id: UUID
    timezone_id: int | None = None
    is_metrics_unit: bool = True


class CustomerPage(_Model):
    """A page of customers, and how many match altogether."""

    record_count: int
    customer_list: tuple[Customer, ...]


class Control(_Model):
    """A relay that can be switched."""

    control_id: int
    control_type: str
    is_switch_enabled: bool
    status: bool


class Device(_Model):
    """An installed meter."""

    device_id: str = Field(alias="DeviceID")
    device_name: str | None = None
    customer_ref: str | None = None
    is_registered: bool
    timezone_id: int | None = None
    sensor_config: str | None = None
    measurement_config: str | None = None
    firmware_version: str | None = None
    status_updated: UtcTime | None = Field(default=None, alias="DeviceStatusUpdateDateTime")
    data_updated: UtcTime | None = Field(default=None, alias="DeviceDataUpdateDateTime")
    ip_address: str | None = Field(default=None, alias="IPAddress")
    longitude: Decimal | None = None
    latitude: Decimal | None = None
    contains_inverter: bool = Field(default=False, alias="IsDeviceContainsInverter")
    controls: tuple[Control, ...] = ()


class IndexedPage(_Model):
    """How many match altogether, and on how many pages they are."""

    count: int
    pages: int


class DevicePage(IndexedPage):
    """A page of devices."""

    devices: tuple[Device, ...]


class Measurement(_Model):
    """What was read of a device for one interval: powers in kW, and all `values` that are known, by their names in the
    API.
    """

    id: UUID = Field(alias="ID")
    device_id: str = Field(alias="DeviceID")
    starts_at: UtcTime = Field(alias="RecordDateTime")
    values: dict[str, Number]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "values" in given:
            return given
        values = {name: value for name, value in given.items() if name not in _NOT_VALUES and value is not None}
        return {**{name: given[name] for name in _NOT_VALUES if name in given}, "values": values}

    @property
    def power_usage(self) -> Decimal | None:
        """Imported power."""
        return self.values.get("PowerUsage")

    @property
    def generating(self) -> Decimal | None:
        """Generated power."""
        return self.values.get("Generating")

    @property
    def power_exported(self) -> Decimal | None:
        """Exported power."""
        return self.values.get("PowerExported")


class MeasurementPage(IndexedPage):
    """A page of records."""

    measurements: tuple[Measurement, ...]
