-- Records: what was read of a device for one interval, all channels of that start together.

-- name: count_whole_days
-- How many records devices $1 have on each day (UTC) from that of $2 until that of $3, which is not included.
SELECT day, sum(periods) AS records
FROM results_v1.period_count
WHERE device_id = ANY ($1::text[]) AND day >= $2 AND day < $3
GROUP BY day
ORDER BY day

-- name: count_part_of_day
-- How many records devices $1 have from $2 to $3, both included.
SELECT count(*) AS records
FROM (
    SELECT DISTINCT device_id, starts_at
    FROM results_v1.measurement
    WHERE device_id = ANY ($1::text[]) AND starts_at >= $2 AND starts_at <= $3
) AS record

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
