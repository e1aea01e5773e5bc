"""What the two resources have: their attributes in the order of an answer, and what may be done with each (§5, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an attribute holds, in the words of describe."""

    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "datetime"


class Change(StrEnum):
    """When a client may set an attribute, in the words of describe."""

    ALWAYS = "always"
    ON_INSERT = "onInsert"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. `required`: a new item must be given it. `nullable`: it may be set to null. `choices`: all it may
    be, if that is a list.
    """

    name: str
    kind: Kind
    title: str
    change: Change = Change.NEVER
    length: int | None = None
    required: bool = False
    nullable: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource: its attributes, the one that is its key, and the resource of its children, if it has any.

    `statement` names the SQL whose columns bear the attributes' names, and `object_version`.
    """

    name: str
    title: str
    plural: str
    key: str
    statement: str
    attributes: tuple[Attribute, ...]
    child: Resource | None = None

    def find(self, name: str) -> Attribute | None:
        """The attribute of exactly this name."""
        return next((attribute for attribute in self.attributes if attribute.name == name), None)


_ALWAYS, _ON_INSERT = Change.ALWAYS, Change.ON_INSERT

_AUDIT = {
    "CreatedBy": Attribute("CreatedBy", Kind.STRING, "Created By", length=64),
    "CreationDate": Attribute("CreationDate", Kind.TIMESTAMP, "Creation Date"),
    "LastUpdateDate": Attribute("LastUpdateDate", Kind.TIMESTAMP, "Last Update Date"),
    "LastUpdatedBy": Attribute("LastUpdatedBy", Kind.STRING, "Last Updated By", length=64),
}

METERS = Resource(
    name="contractMeters",
    title="Contract Meter",
    plural="Contract Meters",
    key="ContractMeterId",
    statement="contract_meters",
    attributes=(
        Attribute("ContractMeterId", Kind.INTEGER, "Contract Meter ID"),
        Attribute("ContractId", Kind.INTEGER, "Contract ID"),
        Attribute("MeterId", Kind.INTEGER, "Meter ID", _ON_INSERT, nullable=False),
        Attribute("MeterCode", Kind.STRING, "Meter Code", _ALWAYS, length=30, nullable=False),
        Attribute("MeterName", Kind.STRING, "Contract Meter Name", length=120),
        Attribute("MeterDescription", Kind.STRING, "Meter Description", length=240),
        Attribute("UOMCode", Kind.STRING, "Unit of Measure Code", length=3),
        Attribute("UnitOfMeasure", Kind.STRING, "Unit of Measure", length=25),
        Attribute("MeterStartValue", Kind.NUMBER, "Meter Start Value", _ALWAYS, nullable=False),
        Attribute("MeterIntervalValue", Kind.NUMBER, "Meter Interval Value", _ALWAYS),
        Attribute("MeterEndValue", Kind.NUMBER, "Meter End Value"),
        Attribute("CalculatedDueDate", Kind.DATE, "Calculated End Date"),
        Attribute("ActiveEndDate", Kind.DATE, "Active End Date"),
        Attribute("DisabledFlag", Kind.BOOLEAN, "Disabled Indicator", _ALWAYS, nullable=False),
        _AUDIT["CreatedBy"],
        _AUDIT["CreationDate"],
        _AUDIT["LastUpdateDate"],
        _AUDIT["LastUpdatedBy"],
    ),
)

CONTRACTS = Resource(
    name="assetWarrantyContracts",
    title="Asset Warranty Contract",
    plural="Asset Warranty Contracts",
    key="ContractId",
    statement="contracts",
    attributes=(
        Attribute("ContractId", Kind.INTEGER, "Contract ID"),
        Attribute("ContractNumber", Kind.STRING, "Contract Number", _ON_INSERT, 80, required=True, nullable=False),
        Attribute("AssetNumber", Kind.STRING, "Asset Number", _ON_INSERT, 80, required=True, nullable=False),
        Attribute("CoverageCode", Kind.STRING, "Coverage Code", _ALWAYS, 80),
        Attribute("CoverageId", Kind.INTEGER, "Coverage ID", _ON_INSERT),
        Attribute(
            "ContractStatusCode",
            Kind.STRING,
            "Contract Status Code",
            _ALWAYS,
            30,
            nullable=False,
            choices=("ORA_DRAFT", "ORA_READY", "ORA_EXPIRED"),
        ),
        Attribute("ContractStartDate", Kind.DATE, "Contract Start Date", _ALWAYS, required=True, nullable=False),
        Attribute("ContractEndDate", Kind.DATE, "Contract End Date", _ALWAYS),
        Attribute("CalculatedExpirationDate", Kind.DATE, "Calculated Expiration Date"),
        Attribute("ContractNotes", Kind.STRING, "Contract Notes", _ALWAYS, 2000),
        Attribute("ExternalReferenceNumber", Kind.STRING, "External Reference Number", _ALWAYS, 80),
        Attribute("ObjectTypeCode", Kind.STRING, "Object Type Code", length=30),
        Attribute("ObjectId", Kind.INTEGER, "Object ID"),
        _AUDIT["CreatedBy"],
        _AUDIT["CreationDate"],
        _AUDIT["LastUpdateDate"],
        _AUDIT["LastUpdatedBy"],
    ),
    child=METERS,
)
