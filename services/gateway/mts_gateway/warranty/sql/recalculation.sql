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

-- name: readings_that_tell
-- For each meter ($1) that is to count from a value ($2) over an interval ($3), those of its readings that decide when: the one that has
-- reached it and the one before, else the first and the last of the last 365 days. What was read before the counter last
-- fell is of another counter. A meter may have been read every half-hour for years: all else stays where it is.
WITH asked AS (
    SELECT place, meter_id, start_value + interval_value AS value_to_reach
    FROM unnest($1::bigint[], $2::numeric[], $3::numeric[])
        WITH ORDINALITY AS asked (meter_id, start_value, interval_value, place)
), step AS (
    SELECT meter_id, read_at, value, value < lag(value) OVER (PARTITION BY meter_id ORDER BY read_at) AS fell
    FROM gateway.meter_reading
    WHERE meter_id = ANY ($1)
), counter AS (
    SELECT meter_id, max(read_at) FILTER (WHERE fell) AS begun, max(read_at) AS newest
    FROM step
    GROUP BY meter_id
), counted AS (
    SELECT step.meter_id, step.read_at, step.value, counter.newest
    FROM step
    JOIN counter USING (meter_id)
    WHERE counter.begun IS NULL OR step.read_at >= counter.begun
), deciding AS (
    SELECT
        asked.place,
        asked.meter_id,
        min(read_at) FILTER (WHERE value >= value_to_reach) AS reached,
        max(read_at) FILTER (WHERE value < value_to_reach) AS not_reached,
        min(read_at) FILTER (WHERE read_at >= newest - interval '365 days') AS first,
        max(read_at) AS newest
    FROM asked
    JOIN counted USING (meter_id)
    GROUP BY asked.place, asked.meter_id
)
SELECT deciding.place, reading.read_at, reading.value
FROM deciding
JOIN gateway.meter_reading reading ON reading.meter_id = deciding.meter_id AND reading.read_at IN (
    coalesce(reached, newest), CASE WHEN reached IS NULL THEN first ELSE not_reached END)
ORDER BY deciding.place, reading.read_at

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
