-- Replacing all readings of devices, which only the loading of a registry seed does.

-- name: forget_readings
-- All readings and facts of devices.
TRUNCATE results.measurement, results.period_count, results.register_reading, results.device_fact;

-- name: count_all_periods
-- The periods of every device on every day (UTC).
INSERT INTO results.period_count (device_id, day, periods)
SELECT device_id, date_trunc('day', starts_at, 'UTC') AS day, count(DISTINCT starts_at)
FROM results.measurement
GROUP BY device_id, day;

-- name: seed_facts
-- What is said to be known of devices.
INSERT INTO results.device_fact (device_id, firmware, firmware_at, last_test_end)
SELECT device_id, firmware, CASE WHEN firmware IS NOT NULL THEN coalesce(last_test_end, '-infinity') END, last_test_end
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS f (device_id, firmware, last_test_end)
ON CONFLICT (device_id) DO UPDATE
SET firmware = excluded.firmware, firmware_at = excluded.firmware_at, last_test_end = excluded.last_test_end;

-- name: note_newest_readings
-- The newest reading of every device that has any.
INSERT INTO results.device_fact AS f (device_id, newest_reading_at)
SELECT device_id, max(starts_at) FROM results.measurement GROUP BY device_id
ON CONFLICT (device_id) DO UPDATE SET newest_reading_at = excluded.newest_reading_at;
