-- Due dates: what they are calculated from, and where they are stored. A stored change counts for so many versions: none
-- where it is a preview's, or part of a change that is counted already.

-- name: lock_assets_of_meters
-- Whoever writes contracts or due dates of an asset holds the lock on it; several are taken in the order of their ids.
SELECT asset_id
FROM gateway.asset
WHERE asset_id IN (SELECT asset_id FROM gateway.asset_meter WHERE meter_id = ANY ($1::bigint[]))
ORDER BY asset_id
FOR NO KEY UPDATE

-- name: enabled_contract_meters
-- The enabled contract meters of these meters ($1) or contracts ($2), with what their due dates are calculated from.
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
WHERE
    (own.meter_id = ANY ($1::bigint[]) OR own.contract_id = ANY ($2::bigint[]))
    AND (own.active_end_date IS NULL OR own.active_end_date > current_date)
ORDER BY own.contract_meter_id
FOR NO KEY UPDATE OF own

-- name: readings_of_meters
-- What these meters have counted.
SELECT meter_id, read_at, value
FROM gateway.meter_reading
WHERE meter_id = ANY ($1::bigint[])
ORDER BY meter_id, read_at

-- name: store_due_dates
-- New due dates ($2) of contract meters ($1), as the system's change of $3 versions.
UPDATE gateway.contract_meter own
SET
    calculated_due_date = new.due_date,
    object_version = own.object_version + $3::integer,
    last_update_date = CASE $3 WHEN 0 THEN own.last_update_date
        ELSE date_trunc('milliseconds', clock_timestamp()) END,
    last_updated_by = CASE $3 WHEN 0 THEN own.last_updated_by ELSE 'SYSTEM' END
FROM unnest($1::bigint[], $2::date[]) AS new (contract_meter_id, due_date)
WHERE own.contract_meter_id = new.contract_meter_id

-- name: refresh_expiration
-- The expiration of these contracts ($1) is the latest due date of their enabled meters; where it changes, it is the
-- system's change of $2 versions.
UPDATE gateway.warranty_contract contract
SET
    calculated_expiration_date = new.expiration,
    object_version = contract.object_version + $2::integer,
    last_update_date = CASE $2 WHEN 0 THEN contract.last_update_date
        ELSE date_trunc('milliseconds', clock_timestamp()) END,
    last_updated_by = CASE $2 WHEN 0 THEN contract.last_updated_by ELSE 'SYSTEM' END
FROM (
    SELECT contract_id, max(calculated_due_date) FILTER (
        WHERE active_end_date IS NULL OR active_end_date > current_date
    ) AS expiration
    FROM gateway.contract_meter
    WHERE contract_id = ANY ($1::bigint[])
    GROUP BY contract_id
) AS new
WHERE contract.contract_id = new.contract_id AND contract.calculated_expiration_date IS DISTINCT FROM new.expiration
