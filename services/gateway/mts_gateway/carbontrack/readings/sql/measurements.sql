-- Records: what was read of a device for one interval, all channels of that start together.

-- name: count_by_day
-- How many records devices $1 have on each day (UTC) from $2 to $3, both included.
SELECT date_trunc('day', starts_at, 'UTC') AS day, count(*) AS records
FROM (
    SELECT DISTINCT device_id, starts_at
    FROM results_v1.measurement
    WHERE device_id = ANY ($1::text[]) AND starts_at >= $2 AND starts_at <= $3
) AS record
GROUP BY day
ORDER BY day

-- name: list_records
-- Up to $4 records of devices $1 from $2 to $3 after the first $5.
SELECT DISTINCT starts_at, device_id COLLATE "C" AS device_id
FROM results_v1.measurement
WHERE device_id = ANY ($1::text[]) AND starts_at >= $2 AND starts_at <= $3
ORDER BY starts_at, device_id
LIMIT $4 OFFSET $5

-- name: list_values
-- All channels of devices $1 from $2 to $3.
SELECT device_id, starts_at, channel, value
FROM results_v1.measurement
WHERE device_id = ANY ($1::text[]) AND starts_at >= $2 AND starts_at <= $3

-- name: list_totals
-- The cumulative channels of device $1[n] at $2[n].
SELECT device_id, starts_at, channel, value
FROM unnest($1::text[], $2::timestamptz[]) AS asked (device_id, starts_at)
JOIN results_v1.measurement USING (device_id, starts_at)
WHERE right(channel, 8) = ' (total)'

-- name: list_intervals
-- The phases of devices $1 and the length of their survey's intervals.
SELECT device_id, phases, interval_seconds
FROM gateway.device
WHERE device_id = ANY ($1::text[])
