-- The readings of devices. Each statement runs under the lock on its devices' rows.

-- name: make_devices
-- Make the rows of devices not heard of before.
INSERT INTO results.device_fact (device_id)
SELECT device_id FROM unnest($1::text[]) AS device_id
ORDER BY device_id
ON CONFLICT DO NOTHING;

-- name: lock_devices
-- Lock devices in the order of their ids.
SELECT device_id FROM results.device_fact
WHERE device_id = ANY($1::text[])
ORDER BY device_id
FOR NO KEY UPDATE;

-- name: reading_floor
-- The moment before which no readings are kept.
SELECT greatest(kept_from, timestamptz '0001-01-01 00:00:00+00') FROM results.reading_floor;

-- name: put_measurements
-- Store a device's survey readings ($2-$5; brought at $6), unless later ones are here; how many are new or now differ, of
-- which first and last period, and in how many cases what was here differs.
WITH told AS MATERIALIZED (
    SELECT starts_at, channel, value, CASE WHEN status IS NOT NULL THEN
        ARRAY(SELECT jsonb_array_elements_text(status::jsonb)) END AS status
    FROM unnest($2::timestamptz[], $3::text[], $4::numeric[], $5::text[]) AS r (starts_at, channel, value, status)
), compared AS MATERIALIZED (
    SELECT told.starts_at, m.device_id IS NULL AS is_new, m.value <> told.value AS differs, m.read_at < $6 AS is_later
    FROM told
    LEFT JOIN results.measurement m ON m.device_id = $1 AND m.starts_at = told.starts_at AND m.channel = told.channel
        AND m.starts_at >= (SELECT min(starts_at) FROM told) AND m.starts_at <= (SELECT max(starts_at) FROM told)
), put AS (
    INSERT INTO results.measurement AS m (device_id, starts_at, channel, value, status, read_at)
    SELECT $1::text, starts_at, channel, value, status, $6::timestamptz FROM told ORDER BY starts_at, channel
    ON CONFLICT (device_id, starts_at, channel) DO UPDATE
    SET value = excluded.value, status = excluded.status, read_at = excluded.read_at
    WHERE m.read_at < excluded.read_at
)
SELECT
    count(*) FILTER (WHERE is_new OR (differs AND is_later)) AS stored,
    min(starts_at) FILTER (WHERE is_new OR (differs AND is_later)) AS first_start,
    max(starts_at) FILTER (WHERE is_new OR (differs AND is_later)) AS last_start,
    count(*) FILTER (WHERE differs) AS differing
FROM compared;

-- name: count_periods
-- Count a device's periods anew on the days (UTC) from that of $2 to that of $3.
INSERT INTO results.period_count AS c (device_id, day, periods)
SELECT $1::text, date_trunc('day', starts_at, 'UTC') AS day, count(DISTINCT starts_at)
FROM results.measurement
WHERE device_id = $1
    AND starts_at >= date_trunc('day', $2::timestamptz, 'UTC')
    AND starts_at < date_trunc('day', $3::timestamptz, 'UTC') + interval '24 hours'
GROUP BY day
ON CONFLICT (device_id, day) DO UPDATE SET periods = excluded.periods WHERE c.periods <> excluded.periods;

-- name: put_register_readings
-- Store a device's cumulative readings ($2-$4; brought at $5), unless later ones are here; those that are new or now
-- differ, and whether they do.
WITH told AS MATERIALIZED (
    SELECT register, read_at, value
    FROM unnest($2::text[], $3::timestamptz[], $4::numeric[]) AS r (register, read_at, value)
), compared AS MATERIALIZED (
    SELECT told.*, r.device_id IS NOT NULL AS differs
    FROM told
    LEFT JOIN results.register_reading r ON r.device_id = $1 AND r.register = told.register AND r.read_at = told.read_at
    WHERE r.device_id IS NULL OR (r.value <> told.value AND r.brought_at < $5)
), put AS (
    INSERT INTO results.register_reading AS r (device_id, register, read_at, value, brought_at)
    SELECT $1::text, register, read_at, value, $5::timestamptz FROM told ORDER BY register, read_at
    ON CONFLICT (device_id, register, read_at) DO UPDATE SET value = excluded.value, brought_at = excluded.brought_at
    WHERE r.brought_at < excluded.brought_at
)
SELECT register, read_at, value, differs FROM compared ORDER BY read_at, register;

-- name: note_newest_reading
-- A device's newest reading, if none is newer.
UPDATE results.device_fact SET newest_reading_at = greatest(newest_reading_at, $2::timestamptz) WHERE device_id = $1;

-- name: put_facts
-- What a test that ended at $2 has told of a device, unless a later one has told it.
INSERT INTO results.device_fact AS f (device_id, last_test_end, firmware, firmware_at, signal_strength,
    signal_strength_at)
VALUES ($1, $2, $3, CASE WHEN $3::text IS NOT NULL THEN $2::timestamptz END, $4,
    CASE WHEN $4::text IS NOT NULL THEN $2::timestamptz END)
ON CONFLICT (device_id) DO UPDATE
SET last_test_end = greatest(f.last_test_end, excluded.last_test_end),
    firmware = CASE WHEN f.firmware_at IS NULL OR excluded.firmware_at >= f.firmware_at
        THEN coalesce(excluded.firmware, f.firmware) ELSE f.firmware END,
    firmware_at = greatest(f.firmware_at, excluded.firmware_at),
    signal_strength = CASE WHEN f.signal_strength_at IS NULL OR excluded.signal_strength_at >= f.signal_strength_at
        THEN coalesce(excluded.signal_strength, f.signal_strength) ELSE f.signal_strength END,
    signal_strength_at = greatest(f.signal_strength_at, excluded.signal_strength_at);
