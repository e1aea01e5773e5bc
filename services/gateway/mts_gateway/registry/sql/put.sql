-- Writing items of the registry, a JSON list each, under their ids: new ones are made, known ones become what is given.

-- name: put_distributors
-- Distributors; a new one becomes a new client that has its name, a known one keeps its client.
WITH new AS (
    SELECT r.id, r."userName", nextval(pg_get_serial_sequence('gateway.client', 'client_id')) AS client_id
    FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, "userName" text)
    WHERE NOT EXISTS (SELECT FROM gateway.distributor known WHERE known.distributor_id = r.id)
), clients AS (
    INSERT INTO gateway.client (client_id, name)
    OVERRIDING SYSTEM VALUE
    SELECT client_id, "userName" FROM new
), renamed AS (
    UPDATE gateway.distributor known
    SET user_name = r."userName"
    FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, "userName" text)
    WHERE known.distributor_id = r.id AND known.user_name <> r."userName"
)
INSERT INTO gateway.distributor (distributor_id, client_id, user_name)
SELECT id, client_id, "userName" FROM new

-- name: put_timezones
-- Time zones.
INSERT INTO gateway.timezone (timezone_id, name)
SELECT id, name
FROM jsonb_to_recordset($1::jsonb) AS r (id integer, name text)
ON CONFLICT (timezone_id) DO UPDATE SET name = excluded.name

-- name: put_users
-- Users; `password` is the hash to store.
INSERT INTO gateway.api_user (user_id, user_name, password, distributor_id, roles)
SELECT id, "userName", password, distributor, roles
FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, "userName" text, password text, distributor uuid, roles text[])
ON CONFLICT (user_id) DO UPDATE SET
    user_name = excluded.user_name, password = excluded.password, distributor_id = excluded.distributor_id,
    roles = excluded.roles

-- name: put_customers
-- Customers.
INSERT INTO gateway.customer (
    customer_id, distributor_id, account_number, first_name, last_name, email, user_name, mobile, day_time_contact,
    work_contact, location, timezone_id, currency_id, metric)
SELECT id, distributor, "accountNumber", "firstName", "lastName", email, "userName", mobile, "dayTimeContact",
    "workContact", location, timezone, currency, metric
FROM jsonb_to_recordset($1::jsonb) AS r (
    id uuid, distributor uuid, "accountNumber" text, "firstName" text, "lastName" text, email text, "userName" text,
    mobile text, "dayTimeContact" text, "workContact" text, location text, timezone integer, currency uuid,
    metric boolean)
ON CONFLICT (customer_id) DO UPDATE SET
    distributor_id = excluded.distributor_id, account_number = excluded.account_number,
    first_name = excluded.first_name, last_name = excluded.last_name, email = excluded.email,
    user_name = excluded.user_name, mobile = excluded.mobile, day_time_contact = excluded.day_time_contact,
    work_contact = excluded.work_contact, location = excluded.location, timezone_id = excluded.timezone_id,
    currency_id = excluded.currency_id, metric = excluded.metric

-- name: put_devices
-- Devices; `canonicalAddress` goes with their remote addresses.
INSERT INTO gateway.device (
    device_id, distributor_id, customer_id, label, meter_type, remote_address, canonical_address, outstation_address,
    serial_number, phases, registered, timezone_id, interval_seconds, channels, latitude, longitude, relays)
SELECT "deviceId", distributor, customer, label, "meterType", "remoteAddress", "canonicalAddress", "outstationAddress",
    "serialNumber", phases, registered, timezone, "intervalSeconds", channels, latitude, longitude, relays
FROM jsonb_to_recordset($1::jsonb) AS r (
    "deviceId" text, distributor uuid, customer uuid, label text, "meterType" text, "remoteAddress" text,
    "canonicalAddress" text, "outstationAddress" text, "serialNumber" text, phases smallint, registered boolean,
    timezone integer, "intervalSeconds" integer, channels text[], latitude numeric, longitude numeric, relays jsonb)
ON CONFLICT (device_id) DO UPDATE SET
    distributor_id = excluded.distributor_id, customer_id = excluded.customer_id, label = excluded.label,
    meter_type = excluded.meter_type, remote_address = excluded.remote_address,
    canonical_address = excluded.canonical_address, outstation_address = excluded.outstation_address,
    serial_number = excluded.serial_number, phases = excluded.phases, registered = excluded.registered,
    timezone_id = excluded.timezone_id, interval_seconds = excluded.interval_seconds, channels = excluded.channels,
    latitude = excluded.latitude, longitude = excluded.longitude, relays = excluded.relays

-- name: put_assets
-- Assets.
INSERT INTO gateway.asset (asset_id, number, distributor_id)
SELECT id, number, distributor
FROM jsonb_to_recordset($1::jsonb) AS r (id bigint, number text, distributor uuid)
ON CONFLICT (asset_id) DO UPDATE SET number = excluded.number, distributor_id = excluded.distributor_id

-- name: put_meters
-- Meters of assets.
INSERT INTO gateway.asset_meter (
    meter_id, asset_id, code, name, description, uom_code, unit_of_measure, device_id, register, base_daily_rate, active)
SELECT "meterId", asset_id, code, name, description, "uomCode", "unitOfMeasure", "deviceId", register, "baseDailyRate",
    active
FROM jsonb_to_recordset($1::jsonb) AS r (
    "meterId" bigint, asset text, code text, name text, description text, "uomCode" text, "unitOfMeasure" text,
    "deviceId" text, register text, "baseDailyRate" numeric, active boolean)
JOIN gateway.asset ON asset.number = r.asset
ON CONFLICT (meter_id) DO UPDATE SET
    asset_id = excluded.asset_id, code = excluded.code, name = excluded.name, description = excluded.description,
    uom_code = excluded.uom_code, unit_of_measure = excluded.unit_of_measure, device_id = excluded.device_id,
    register = excluded.register, base_daily_rate = excluded.base_daily_rate, active = excluded.active

-- name: put_contracts
-- Warranty contracts.
INSERT INTO gateway.warranty_contract (
    contract_id, contract_number, asset_id, coverage_code, coverage_id, status_code, start_date, end_date,
    calculated_expiration_date, notes, external_reference_number, created_by, creation_date, last_updated_by,
    last_update_date, object_version)
SELECT "ContractId", "ContractNumber", asset_id, "CoverageCode", "CoverageId", "ContractStatusCode",
    "ContractStartDate", "ContractEndDate", "CalculatedExpirationDate", "ContractNotes", "ExternalReferenceNumber",
    "CreatedBy", coalesce("CreationDate", now()), "LastUpdatedBy", coalesce("LastUpdateDate", now()), "objectVersion"
FROM jsonb_to_recordset($1::jsonb) AS r (
    "ContractId" bigint, "ContractNumber" text, "AssetNumber" text, "CoverageCode" text, "CoverageId" bigint,
    "ContractStatusCode" text, "ContractStartDate" date, "ContractEndDate" date, "CalculatedExpirationDate" date,
    "ContractNotes" text, "ExternalReferenceNumber" text, "CreatedBy" text, "CreationDate" timestamptz,
    "LastUpdatedBy" text, "LastUpdateDate" timestamptz, "objectVersion" bigint)
JOIN gateway.asset ON asset.number = r."AssetNumber"
ON CONFLICT (contract_id) DO UPDATE SET
    contract_number = excluded.contract_number, asset_id = excluded.asset_id, coverage_code = excluded.coverage_code,
    coverage_id = excluded.coverage_id, status_code = excluded.status_code, start_date = excluded.start_date,
    end_date = excluded.end_date, calculated_expiration_date = excluded.calculated_expiration_date,
    notes = excluded.notes, external_reference_number = excluded.external_reference_number,
    created_by = excluded.created_by, creation_date = excluded.creation_date,
    last_updated_by = excluded.last_updated_by, last_update_date = excluded.last_update_date,
    object_version = excluded.object_version

-- name: put_contract_meters
-- Contract meters; `ContractId` says whose.
INSERT INTO gateway.contract_meter (
    contract_meter_id, contract_id, asset_id, meter_id, start_value, interval_value, calculated_due_date,
    active_end_date, created_by, creation_date, last_updated_by, last_update_date, object_version)
SELECT "ContractMeterId", contract_id, asset_id, "MeterId", "MeterStartValue", "MeterIntervalValue",
    "CalculatedDueDate", "ActiveEndDate", "CreatedBy", coalesce("CreationDate", now()), "LastUpdatedBy",
    coalesce("LastUpdateDate", now()), "objectVersion"
FROM jsonb_to_recordset($1::jsonb) AS r (
    "ContractMeterId" bigint, "ContractId" bigint, "MeterId" bigint, "MeterStartValue" numeric,
    "MeterIntervalValue" numeric, "CalculatedDueDate" date, "ActiveEndDate" date, "CreatedBy" text,
    "CreationDate" timestamptz, "LastUpdatedBy" text, "LastUpdateDate" timestamptz, "objectVersion" bigint)
JOIN gateway.warranty_contract contract ON contract.contract_id = r."ContractId"
ON CONFLICT (contract_meter_id) DO UPDATE SET
    contract_id = excluded.contract_id, asset_id = excluded.asset_id, meter_id = excluded.meter_id,
    start_value = excluded.start_value, interval_value = excluded.interval_value,
    calculated_due_date = excluded.calculated_due_date, active_end_date = excluded.active_end_date,
    created_by = excluded.created_by, creation_date = excluded.creation_date,
    last_updated_by = excluded.last_updated_by, last_update_date = excluded.last_update_date,
    object_version = excluded.object_version

-- name: pass_ids
-- The next ids that the contract API gives out come after all that there are.
SELECT
    setval('gateway.asset_id', greatest(nextval('gateway.asset_id'), (SELECT max(asset_id) FROM gateway.asset))),
    setval('gateway.meter_id', greatest(nextval('gateway.meter_id'), (SELECT max(meter_id) FROM gateway.asset_meter))),
    setval('gateway.contract_id', greatest(
        nextval('gateway.contract_id'), (SELECT max(contract_id) FROM gateway.warranty_contract))),
    setval('gateway.contract_meter_id', greatest(
        nextval('gateway.contract_meter_id'), (SELECT max(contract_meter_id) FROM gateway.contract_meter)))
