-- Whether what a request names exists, and whose it is.

-- name: find_distributor
-- Whether there is such a distributor.
SELECT EXISTS (SELECT FROM gateway.distributor WHERE distributor_id = $1) AS known

-- name: find_devices
-- The distributor of each of these devices that exists.
SELECT device_id, distributor_id FROM gateway.device WHERE device_id = ANY ($1::text[])

-- name: devices_of
-- The devices of distributors $1, all or those of $2.
SELECT device_id
FROM gateway.device
WHERE distributor_id = ANY ($1::uuid[]) AND ($2::text[] IS NULL OR device_id = ANY ($2))
