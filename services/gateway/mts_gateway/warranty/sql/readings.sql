-- The gateway's copy of cumulative readings.

-- name: keep_readings
-- Of readings of devices' registers (a column per array) those of registered meters; the meters whose readings changed.
INSERT INTO gateway.meter_reading AS known (meter_id, read_at, value)
SELECT meter.meter_id, told.read_at, told.value
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::numeric[]) AS told (device_id, register, read_at, value)
JOIN gateway.asset_meter meter USING (device_id, register)
ORDER BY meter.meter_id, told.read_at
ON CONFLICT (meter_id, read_at) DO UPDATE SET value = excluded.value
WHERE known.value <> excluded.value
RETURNING meter_id
