"""What stands in a registry file: the keys of every kind of item, as registry-seed.md names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mts_gateway.registry import values
from mts_gateway.registry.values import Read

ROLES = ("read", "write", "warranty:read", "warranty:write", "admin")
STATUS_CODES = ("ORA_DRAFT", "ORA_READY", "ORA_EXPIRED")
SYSTEM = "SYSTEM"

MAX_RELAYS = 100
MAX_CHANNELS = 200


@dataclass(frozen=True, slots=True)
class Key:
    """How the value of a key is read, and what holds where an item does not give it."""

    read: Read
    required: bool = False
    default: object = None


@dataclass(frozen=True, slots=True)
class Nested:
    """A list of items inside an item."""

    keys: Mapping[str, Key]
    most: int


Keys = Mapping[str, Key | Nested]

_AUDIT: Mapping[str, Key] = {
    "CreatedBy": Key(values.text(64, least=1)),
    "CreationDate": Key(values.moment),
    "LastUpdatedBy": Key(values.text(64, least=1)),
    "LastUpdateDate": Key(values.moment),
    "objectVersion": Key(values.whole()),
}

_RELAY: Mapping[str, Key] = {
    "controlId": Key(values.whole(0, 2**31 - 1), required=True),
    "controlType": Key(values.text(100)),
    "isSwitchEnabled": Key(values.flag, default=False),
    "status": Key(values.flag, default=False),
}

_CONTRACT_METER: Mapping[str, Key] = {
    "ContractMeterId": Key(values.whole(), required=True),
    "MeterId": Key(values.whole(), required=True),
    "MeterStartValue": Key(values.decimal(), default=0),
    "MeterIntervalValue": Key(values.decimal(least=0)),
    "CalculatedDueDate": Key(values.day),
    "ActiveEndDate": Key(values.day),
    **_AUDIT,
}

REGISTRY: Mapping[str, Keys] = {
    "distributors": {
        "id": Key(values.uuid, required=True),
        "userName": Key(values.text(100, least=1), required=True),
    },
    "timezones": {
        "id": Key(values.whole(0, 2**31 - 1), required=True),
        "name": Key(values.zone, required=True),
    },
    "users": {
        "id": Key(values.uuid, required=True),
        "userName": Key(values.text(64, least=1), required=True),
        "password": Key(values.text(256, least=1), required=True),
        "distributor": Key(values.uuid),
        "roles": Key(values.items(values.choice(*ROLES), len(ROLES)), default=("read", "write")),
    },
    "customers": {
        "id": Key(values.uuid, required=True),
        "distributor": Key(values.uuid, required=True),
        "accountNumber": Key(values.text(100, least=1), required=True),
        "firstName": Key(values.text(200)),
        "lastName": Key(values.text(200)),
        "email": Key(values.text(320)),
        "userName": Key(values.text(100)),
        "mobile": Key(values.text(100)),
        "dayTimeContact": Key(values.text(100)),
        "workContact": Key(values.text(100)),
        "location": Key(values.text(1000)),
        "timezone": Key(values.whole(0, 2**31 - 1)),
        "currency": Key(values.uuid),
        "metric": Key(values.flag, default=True),
    },
    "devices": {
        "deviceId": Key(values.device_id, required=True),
        "distributor": Key(values.uuid, required=True),
        "customer": Key(values.uuid),
        "label": Key(values.text(200)),
        "meterType": Key(values.meter_type),
        "remoteAddress": Key(values.known_text(400)),
        "outstationAddress": Key(values.known_text(64)),
        "serialNumber": Key(values.known_text(64)),
        "phases": Key(values.number_of(1, 3), default=1),
        "registered": Key(values.flag, default=True),
        "timezone": Key(values.whole(0, 2**31 - 1)),
        "firmware": Key(values.text(200)),
        "intervalSeconds": Key(values.whole(1, 366 * 86400)),
        "channels": Key(values.items(values.text(100, least=1), MAX_CHANNELS), default=()),
        "latitude": Key(values.decimal(-90, 90)),
        "longitude": Key(values.decimal(-180, 180)),
        "lastTestEnd": Key(values.moment),
        "relays": Nested(_RELAY, MAX_RELAYS),
    },
    "assets": {
        "id": Key(values.whole(), required=True),
        "number": Key(values.text(80, least=1), required=True),
        "distributor": Key(values.uuid, required=True),
    },
    "meters": {
        "meterId": Key(values.whole(), required=True),
        "code": Key(values.text(30, least=1), required=True),
        "name": Key(values.text(120, least=1)),
        "description": Key(values.text(240)),
        "uomCode": Key(values.text(3, least=1), required=True),
        "unitOfMeasure": Key(values.text(25, least=1), required=True),
        "asset": Key(values.text(80, least=1), required=True),
        "deviceId": Key(values.device_id),
        "register": Key(values.text(100, least=1)),
        "baseDailyRate": Key(values.decimal(least=0)),
        "active": Key(values.flag, default=True),
    },
    "contracts": {
        "ContractId": Key(values.whole(), required=True),
        "ContractNumber": Key(values.text(80, least=1), required=True),
        "AssetNumber": Key(values.text(80, least=1), required=True),
        "CoverageCode": Key(values.text(80)),
        "CoverageId": Key(values.whole()),
        "ContractStatusCode": Key(values.choice(*STATUS_CODES), default="ORA_READY"),
        "ContractStartDate": Key(values.day, required=True),
        "ContractEndDate": Key(values.day),
        "CalculatedExpirationDate": Key(values.day),
        "ContractNotes": Key(values.text(2000)),
        "ExternalReferenceNumber": Key(values.text(80)),
        "ObjectTypeCode": Key(values.choice("ORA_ASSET")),
        "ObjectId": Key(values.whole()),
        **_AUDIT,
        "contractMeters": Nested(_CONTRACT_METER, 1000),
    },
}

READINGS: Mapping[str, Keys] = {
    "measurements": {
        "deviceId": Key(values.device_id, required=True),
        "timestamp": Key(values.moment, required=True),
        "values": Key(values.by_channel, required=True),
    },
    "registerReadings": {
        "meterId": Key(values.whole(), required=True),
        "timestamp": Key(values.moment, required=True),
        "value": Key(values.decimal(), required=True),
    },
}
