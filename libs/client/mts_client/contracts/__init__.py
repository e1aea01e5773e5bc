"""Python SDK of the contract meters API that stands beside that of MTS: warranty contracts and when they are due."""

from mts_client.contracts.client import AsyncContractsClient, ContractsClient
from mts_client.contracts.models import Contract, ContractMeter, ContractMeterPage, ContractPage

__all__ = [
    "AsyncContractsClient",
    "Contract",
    "ContractMeter",
    "ContractMeterPage",
    "ContractPage",
    "ContractsClient",
]
