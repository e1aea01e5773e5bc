-- Due dates: what they are calculated from, and where they are stored.

-- name: lock_assets_of_meters
-- Whoever writes contracts or due dates of an asset holds the lock on it; several are taken in the order of their ids.
SELECT asset_id
FROM gateway.asset
WHERE asset_id IN (SELECT asset_id FROM gateway.asset_meter WHERE meter_id = ANY ($1::bigint[]))
ORDER BY asset_id
FOR NO KEY UPDATE

-- name: enabled_contract_meters
-- The contract meters that follow the readings of these meters, with what their due dates are calculated from.
SELECT
    own.contract_meter_id,
    own.contract_id,
    own.meter_id,
    own.start_value,
    own.interval_value,
    own.calculated_due_date,
    meter.base_daily_rate,
    contract.start_date
FROM gateway.contract_meter own
JOIN gateway.asset_meter meter USING (meter_id)
JOIN gateway.warranty_contract contract USING (contract_id)
WHERE own.meter_id = ANY ($1::bigint[]) AND (own.active_end_date IS NULL OR own.active_end_date > current_date)
ORDER BY own.contract_meter_id
FOR NO KEY UPDATE OF own

-- name: readings_of_meters
-- What these meters have counted.
SELECT meter_id, read_at, value
FROM gateway.meter_reading
WHERE meter_id = ANY ($1::bigint[])
ORDER BY meter_id, read_at

-- name: store_due_dates
-- New due dates ($2) of contract meters ($1), as the system's change.
UPDATE gateway.contract_meter own
SET
    calculated_due_date = new.due_date,
    object_version = own.object_version + 1,
    last_update_date = now(),
    last_updated_by = 'SYSTEM'
FROM unnest($1::bigint[], $2::date[]) AS new (contract_meter_id, due_date)
WHERE own.contract_meter_id = new.contract_meter_id

-- name: refresh_expiration
-- The expiration of these contracts is the latest due date of their enabled meters; where it changes, it is the
-- system's change.
UPDATE gateway.warranty_contract contract
SET
    calculated_expiration_date = new.expiration,
    object_version = contract.object_version + 1,
    last_update_date = now(),
    last_updated_by = 'SYSTEM'
FROM (
    SELECT contract_id, max(calculated_due_date) FILTER (
        WHERE active_end_date IS NULL OR active_end_date > current_date
    ) AS expiration
    FROM gateway.contract_meter
    WHERE contract_id = ANY ($1::bigint[])
    GROUP BY contract_id
) AS new
WHERE contract.contract_id = new.contract_id AND contract.calculated_expiration_date IS DISTINCT FROM new.expiration
