-- A registry from one JSON object ($1), in the form of registry-seed.md.

-- name: empty_registry
-- Nothing is left of what was there.
TRUNCATE gateway.meter_reading, gateway.contract_meter, gateway.warranty_contract, gateway.asset_meter, gateway.asset,
    gateway.device, gateway.customer, gateway.user_token, gateway.api_user, gateway.distributor, gateway.timezone,
    gateway.login_failure, gateway.user_rate_window

-- name: seed_distributors
-- Distributors, each with a client of its own.
WITH given AS (
    SELECT id, "userName" AS name
    FROM jsonb_to_recordset($1::jsonb -> 'distributors') AS given (id uuid, "userName" text)
), client AS (
    INSERT INTO gateway.client (name) SELECT id::text FROM given RETURNING client_id, name
)
INSERT INTO gateway.distributor (distributor_id, client_id, user_name)
SELECT given.id, client.client_id, given.name
FROM given
JOIN client ON client.name = given.id::text

-- name: seed_users
-- Users with hashed passwords.
INSERT INTO gateway.api_user (user_id, user_name, password, distributor_id, roles)
SELECT id, "userName", password, distributor, roles
FROM jsonb_to_recordset($1::jsonb -> 'users') AS given
    (id uuid, "userName" text, password text, distributor uuid, roles text[])

-- name: seed_devices
-- Devices, of which only the id matters here.
INSERT INTO gateway.device (device_id, distributor_id)
SELECT "deviceId", distributor
FROM jsonb_to_recordset($1::jsonb -> 'devices') AS given ("deviceId" text, distributor uuid)

-- name: seed_assets
-- Assets.
INSERT INTO gateway.asset (asset_id, number, distributor_id)
SELECT id, number, distributor
FROM jsonb_to_recordset($1::jsonb -> 'assets') AS given (id bigint, number text, distributor uuid)

-- name: seed_meters
-- Their meters.
INSERT INTO gateway.asset_meter (meter_id, asset_id, code, name, description, uom_code, unit_of_measure, device_id,
    register, base_daily_rate, active)
SELECT "meterId", asset.asset_id, code, name, description, "uomCode", "unitOfMeasure", "deviceId", register,
    "baseDailyRate", coalesce(active, true)
FROM jsonb_to_recordset($1::jsonb -> 'meters') AS given
    ("meterId" bigint, code text, name text, description text, "uomCode" text, "unitOfMeasure" text, asset text,
    "deviceId" text, register text, "baseDailyRate" numeric, active boolean)
JOIN gateway.asset ON asset.number = given.asset

-- name: seed_contracts
-- Contracts.
INSERT INTO gateway.warranty_contract (contract_id, contract_number, asset_id, status_code, start_date, end_date, notes,
    coverage_code, created_by, creation_date, last_updated_by, last_update_date)
SELECT "ContractId", "ContractNumber", asset.asset_id, coalesce("ContractStatusCode", 'ORA_READY'),
    "ContractStartDate", "ContractEndDate", "ContractNotes", "CoverageCode", 'USER', now(), 'USER', now()
FROM jsonb_to_recordset($1::jsonb -> 'contracts') AS given
    ("ContractId" bigint, "ContractNumber" text, "AssetNumber" text, "ContractStatusCode" text,
    "ContractStartDate" date, "ContractEndDate" date, "ContractNotes" text, "CoverageCode" text)
JOIN gateway.asset ON asset.number = "AssetNumber"

-- name: seed_contract_meters
-- Their meters.
INSERT INTO gateway.contract_meter (contract_meter_id, contract_id, asset_id, meter_id, start_value, interval_value,
    active_end_date, created_by, creation_date, last_updated_by, last_update_date)
SELECT "ContractMeterId", contract_id, asset_id, "MeterId", coalesce("MeterStartValue", 0), "MeterIntervalValue",
    "ActiveEndDate", 'USER', now(), 'USER', now()
FROM jsonb_to_recordset($1::jsonb -> 'contracts') AS contract ("ContractId" bigint, "contractMeters" jsonb)
JOIN gateway.warranty_contract ON contract_id = "ContractId"
CROSS JOIN LATERAL jsonb_to_recordset("contractMeters") AS given
    ("ContractMeterId" bigint, "MeterId" bigint, "MeterStartValue" numeric, "MeterIntervalValue" numeric,
    "ActiveEndDate" date)

-- name: seed_readings
-- What the meters have counted.
INSERT INTO gateway.meter_reading (meter_id, read_at, value)
SELECT "meterId", timestamp, value
FROM jsonb_to_recordset($1::jsonb -> 'registerReadings') AS given
    ("meterId" bigint, timestamp timestamptz, value numeric)

-- name: seed_contract_audit
-- A seed bumps no version and no audit time.
UPDATE gateway.warranty_contract
SET object_version = 1, created_by = "CreatedBy", creation_date = "CreationDate", last_updated_by = "LastUpdatedBy",
    last_update_date = "LastUpdateDate"
FROM jsonb_to_recordset($1::jsonb -> 'contracts') AS given
    ("ContractId" bigint, "CreatedBy" text, "CreationDate" timestamptz, "LastUpdatedBy" text,
    "LastUpdateDate" timestamptz)
WHERE contract_id = "ContractId"

-- name: seed_contract_meter_audit
-- The same for its meters.
UPDATE gateway.contract_meter
SET object_version = 1, created_by = "CreatedBy", creation_date = "CreationDate", last_updated_by = "LastUpdatedBy",
    last_update_date = "LastUpdateDate"
FROM jsonb_to_recordset($1::jsonb -> 'contracts') AS contract ("contractMeters" jsonb)
CROSS JOIN LATERAL jsonb_to_recordset("contractMeters") AS given
    ("ContractMeterId" bigint, "CreatedBy" text, "CreationDate" timestamptz, "LastUpdatedBy" text,
    "LastUpdateDate" timestamptz)
WHERE contract_meter_id = "ContractMeterId"
