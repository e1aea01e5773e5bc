"""Python SDK of the carbonTRACK API that stands beside that of MTS: distributors, customers, devices, measurements."""

from mts_client.carbontrack.client import AsyncCarbonTrackClient, CarbonTrackClient
from mts_client.carbontrack.models import (
    Control,
    Customer,
    CustomerPage,
    Device,
    DevicePage,
    Distributor,
    Measurement,
    MeasurementPage,
)

__all__ = [
    "AsyncCarbonTrackClient",
    "CarbonTrackClient",
    "Control",
    "Customer",
    "CustomerPage",
    "Device",
    "DevicePage",
    "Distributor",
    "Measurement",
    "MeasurementPage",
]
