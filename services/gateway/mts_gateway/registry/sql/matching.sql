-- Which device of the registry a test reads.

-- name: find_devices
-- For each asked test the one device that it can be, with its zone; no row where there is none or more than one. A client
-- that is a distributor has its own devices, any other is the platform's and has all.
SELECT asked.test_id, min(device.device_id) AS device_id, min(device.serial_number) AS serial_number, min(zone.name) AS zone
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS asked (test_id, client_id, canonical_address, meter_type, outstation_address, serial_number)
JOIN gateway.device USING (canonical_address)
LEFT JOIN gateway.distributor own ON own.client_id = asked.client_id
LEFT JOIN gateway.timezone zone USING (timezone_id)
WHERE (own.distributor_id IS NULL OR own.distributor_id = device.distributor_id)
    AND (device.meter_type IS NULL OR device.meter_type = asked.meter_type)
    AND (asked.outstation_address IS NULL OR device.outstation_address IS NULL
        OR asked.outstation_address = device.outstation_address)
    AND (asked.serial_number IS NULL OR device.serial_number IS NULL
        OR lower(btrim(asked.serial_number)) = lower(btrim(device.serial_number)))
GROUP BY asked.test_id
HAVING count(*) = 1
