-- What the registry takes of the readings of devices.

-- name: fill_meter_readings
-- What results has stored already of the registers that meters count.
INSERT INTO gateway.meter_reading (meter_id, read_at, value)
SELECT meter_id, read_at, value
FROM gateway.asset_meter
JOIN results_v1.register_reading USING (device_id, register)
WHERE meter_id = ANY ($1::bigint[])
ORDER BY meter_id, read_at
ON CONFLICT (meter_id, read_at) DO UPDATE SET value = excluded.value
