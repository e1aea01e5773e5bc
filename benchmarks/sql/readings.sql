-- What the benchmark of readings does to the database.

-- name: fill_day
-- One day ($2) of half-hours in two channels of $1 devices, in the order in which a night's tests bring them.
INSERT INTO results.measurement (device_id, starts_at, channel, value, read_at)
SELECT to_char(device, 'FM0000000000000000'), $2::timestamptz + period * interval '30 minutes', channel,
    round((random() * 3)::numeric, 3), $2::timestamptz + interval '1 day'
FROM generate_series(1, $1::bigint) AS device, generate_series(0, 47) AS period,
    unnest(ARRAY['kWh Export', 'kWh Import']) AS channel;

-- name: make_plain
-- A table like that of the measurements, but whole.
CREATE TABLE results.plain (LIKE results.measurement INCLUDING ALL);

-- name: vacuum
-- What autovacuum does in time: the index alone then tells which periods there are.
VACUUM (ANALYZE) results.measurement;

-- name: size
-- What the readings take, with their index.
SELECT count(*) AS months, sum(pg_total_relation_size(inhrelid))::bigint AS bytes
FROM pg_inherits WHERE inhparent = 'results.measurement'::regclass;
