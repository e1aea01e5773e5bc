-- Devices as this API shows them.

-- name: list_devices
-- A page of the devices of distributors $1 with the number of all that match; a row without a device when it is empty.
-- The sensors are the registered channels, else those of the newest reading.
WITH matching AS NOT MATERIALIZED (
    SELECT
        device.*, customer.account_number, customer.timezone_id AS customer_timezone_id,
        device.registered AND device.customer_id IS NOT NULL AS is_registered
    FROM gateway.device
    LEFT JOIN gateway.customer USING (distributor_id, customer_id)
    WHERE device.distributor_id = ANY ($1::uuid[])
        AND ($2::text[] IS NULL OR device.device_id = ANY ($2))
        AND ($3::text IS NULL OR lower(customer.account_number) = lower($3))
        AND (NOT $4::boolean OR (device.registered AND device.customer_id IS NOT NULL))
)
SELECT
    counted.total, page.*, fact.firmware, fact.last_test_end, fact.newest_reading_at,
    CASE WHEN page.channels <> '{}' THEN page.channels ELSE ARRAY(
        SELECT channel
        FROM results_v1.measurement AS newest
        WHERE newest.device_id = page.device_id AND newest.starts_at = fact.newest_reading_at
    ) END AS sensors
FROM (SELECT count(*) AS total FROM matching) AS counted
LEFT JOIN (SELECT * FROM matching ORDER BY device_id COLLATE "C" LIMIT $5 OFFSET $6) AS page ON true
LEFT JOIN results_v1.device_fact AS fact USING (device_id)
ORDER BY page.device_id COLLATE "C"
