-- The registry as it stands in a file; each kind in the order of its ids.

-- name: export_distributors
-- Distributors.
SELECT distributor_id AS id, user_name AS "userName" FROM gateway.distributor ORDER BY distributor_id

-- name: export_timezones
-- Time zones.
SELECT timezone_id AS id, name FROM gateway.timezone ORDER BY timezone_id

-- name: export_users
-- Users; `password` is the hash, which is not for showing.
SELECT user_id AS id, user_name AS "userName", password, distributor_id AS distributor, roles
FROM gateway.api_user ORDER BY user_id

-- name: export_customers
-- Customers.
SELECT customer_id AS id, distributor_id AS distributor, account_number AS "accountNumber", first_name AS "firstName",
    last_name AS "lastName", email, user_name AS "userName", mobile, day_time_contact AS "dayTimeContact",
    work_contact AS "workContact", location, timezone_id AS timezone, currency_id AS currency, metric
FROM gateway.customer ORDER BY customer_id

-- name: export_devices
-- Devices.
SELECT device_id AS "deviceId", distributor_id AS distributor, customer_id AS customer, label, meter_type AS "meterType",
    remote_address AS "remoteAddress", outstation_address AS "outstationAddress", serial_number AS "serialNumber",
    phases, registered, timezone_id AS timezone, interval_seconds AS "intervalSeconds", channels, latitude, longitude,
    relays
FROM gateway.device ORDER BY device_id

-- name: export_assets
-- Assets.
SELECT asset_id AS id, number, distributor_id AS distributor FROM gateway.asset ORDER BY asset_id

-- name: export_meters
-- Meters of assets.
SELECT meter_id AS "meterId", code, name, description, uom_code AS "uomCode", unit_of_measure AS "unitOfMeasure",
    number AS asset, device_id AS "deviceId", register, base_daily_rate AS "baseDailyRate", active
FROM gateway.asset_meter JOIN gateway.asset USING (asset_id) ORDER BY meter_id

-- name: export_contracts
-- Warranty contracts.
SELECT contract_id AS "ContractId", contract_number AS "ContractNumber", number AS "AssetNumber",
    coverage_code AS "CoverageCode", coverage_id AS "CoverageId", status_code AS "ContractStatusCode",
    start_date AS "ContractStartDate", end_date AS "ContractEndDate",
    calculated_expiration_date AS "CalculatedExpirationDate", notes AS "ContractNotes",
    external_reference_number AS "ExternalReferenceNumber", created_by AS "CreatedBy", creation_date AS "CreationDate",
    last_updated_by AS "LastUpdatedBy", last_update_date AS "LastUpdateDate", object_version AS "objectVersion"
FROM gateway.warranty_contract JOIN gateway.asset USING (asset_id) ORDER BY contract_id

-- name: export_contract_meters
-- Contract meters, with the contracts that they stand in.
SELECT contract_id AS "ContractId", contract_meter_id AS "ContractMeterId", meter_id AS "MeterId",
    start_value AS "MeterStartValue", interval_value AS "MeterIntervalValue", calculated_due_date AS "CalculatedDueDate",
    active_end_date AS "ActiveEndDate", created_by AS "CreatedBy", creation_date AS "CreationDate",
    last_updated_by AS "LastUpdatedBy", last_update_date AS "LastUpdateDate", object_version AS "objectVersion"
FROM gateway.contract_meter ORDER BY contract_meter_id

-- name: lock_registry
-- One import at a time; whoever writes contracts holds the lock on their assets (lock_assets).
LOCK TABLE gateway.distributor IN SHARE ROW EXCLUSIVE MODE

-- name: lock_assets
-- All assets, in the order of their ids.
SELECT asset_id FROM gateway.asset ORDER BY asset_id FOR NO KEY UPDATE

-- name: forget_meter_readings
-- The readings of meters that count another register now.
DELETE FROM gateway.meter_reading WHERE meter_id = ANY ($1::bigint[])
