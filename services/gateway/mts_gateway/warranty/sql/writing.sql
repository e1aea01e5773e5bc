-- Writing contracts and their meters. Whoever does holds the lock on the asset, see recalculation.sql.

-- name: lock_asset_of_contract
-- The asset of a contract ($3) that the caller sees ($1, $2).
SELECT asset.asset_id
FROM gateway.asset
JOIN gateway.warranty_contract USING (asset_id)
WHERE contract_id = $3 AND ($1::boolean OR asset.distributor_id = $2::uuid)
FOR NO KEY UPDATE OF asset

-- name: lock_asset
-- The asset of a number ($3), if the caller sees it ($1, $2).
SELECT asset_id
FROM gateway.asset
WHERE number = $3 AND ($1::boolean OR distributor_id = $2::uuid)
FOR NO KEY UPDATE

-- name: meters_of_asset
-- The meters of an asset ($1) that an id ($2) or a code ($3) names.
SELECT meter_id, code, base_daily_rate, active
FROM gateway.asset_meter
WHERE asset_id = $1 AND (meter_id = $2::bigint OR code = $3::text)

-- name: contract_meter_of_meter
-- Where a contract ($1) counts a meter ($2).
SELECT contract_meter_id
FROM gateway.contract_meter
WHERE contract_id = $1 AND meter_id = $2

-- name: terms_of_contract
-- What the due dates of a contract's meters depend on.
SELECT asset_id, start_date
FROM gateway.warranty_contract
WHERE contract_id = $1

-- name: insert_contract_meter
-- A new meter of a contract; its end is today if it is disabled ($7) from the start.
INSERT INTO gateway.contract_meter (contract_id, asset_id, meter_id, start_value, interval_value, calculated_due_date,
    active_end_date, created_by, creation_date, last_updated_by, last_update_date)
VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::boolean THEN current_date END,
    $8::text, date_trunc('milliseconds', clock_timestamp()), $8, date_trunc('milliseconds', clock_timestamp()))
RETURNING contract_meter_id

-- name: update_contract_meter
-- A change of a contract meter ($1) by $7, of $8 versions; it ends today or goes on, if that is what changes ($6).
UPDATE gateway.contract_meter
SET
    meter_id = $2,
    start_value = $3,
    interval_value = $4,
    calculated_due_date = $5,
    active_end_date = CASE WHEN $6::boolean IS NULL THEN active_end_date WHEN $6 THEN current_date END,
    last_updated_by = CASE $8::integer WHEN 0 THEN last_updated_by ELSE $7::text END,
    last_update_date = CASE $8 WHEN 0 THEN last_update_date ELSE date_trunc('milliseconds', clock_timestamp()) END,
    object_version = object_version + $8
WHERE contract_meter_id = $1

-- name: contract_of_number
-- The contract of a number ($3), if the caller sees it ($1, $2).
SELECT contract_id
FROM gateway.warranty_contract
JOIN gateway.asset USING (asset_id)
WHERE contract_number = $3 AND ($1::boolean OR asset.distributor_id = $2::uuid)

-- name: insert_contract
-- A new contract; none if its number is taken.
INSERT INTO gateway.warranty_contract (asset_id, contract_number, coverage_code, coverage_id, status_code, start_date,
    end_date, notes, external_reference_number, created_by, creation_date, last_updated_by, last_update_date)
VALUES ($1, $2, $3, $4, coalesce($5::text, 'ORA_READY'), $6, $7, $8, $9,
    $10::text, date_trunc('milliseconds', clock_timestamp()), $10, date_trunc('milliseconds', clock_timestamp()))
ON CONFLICT (contract_number) DO NOTHING
RETURNING contract_id

-- name: update_contract
-- A change of a contract ($1) by $10, of $11 versions.
UPDATE gateway.warranty_contract
SET
    contract_number = $2,
    coverage_code = $3,
    coverage_id = $4,
    status_code = $5,
    start_date = $6,
    end_date = $7,
    notes = $8,
    external_reference_number = $9,
    last_updated_by = CASE $11::integer WHEN 0 THEN last_updated_by ELSE $10::text END,
    last_update_date = CASE $11 WHEN 0 THEN last_update_date ELSE date_trunc('milliseconds', clock_timestamp()) END,
    object_version = object_version + $11
WHERE contract_id = $1
