-- Accepting, cancelling and settling tests.

-- name: reserve
-- The time of receipt, and ids for $1 tests and $2 batches, rising in the order they are given out.
SELECT
    clock_timestamp() AS received_at,
    ARRAY(SELECT nextval('gateway.test_id') FROM generate_series(1, $1::integer)) AS test_ids,
    ARRAY(SELECT nextval('gateway.batch_id') FROM generate_series(1, $2::integer)) AS batch_ids

-- name: claim_keys
-- Bind idempotency keys to the answers they will get; a key bound within the last day is left alone and not returned.
INSERT INTO gateway.idempotency AS bound (client_id, key, digest, test_id, batch_id, created_at)
SELECT client_id, key, digest, test_id, batch_id, now()
FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[])
    AS asked (client_id, key, digest, test_id, batch_id)
ORDER BY client_id, key
ON CONFLICT (client_id, key) DO UPDATE SET
    digest = excluded.digest,
    test_id = excluded.test_id,
    batch_id = excluded.batch_id,
    created_at = excluded.created_at
WHERE bound.created_at <= now() - interval '1 day'
RETURNING client_id, key

-- name: find_keys
-- What the keys are bound to.
SELECT client_id, key, digest, test_id, batch_id
FROM gateway.idempotency
JOIN unnest($1::bigint[], $2::text[]) AS asked (client_id, key) USING (client_id, key)

-- name: insert_batches
-- Accepted batches.
INSERT INTO gateway.batch (batch_id, client_id, received_at)
SELECT batch_id, client_id, $3::timestamptz
FROM unnest($1::bigint[], $2::bigint[]) AS new (batch_id, client_id)

-- name: insert_tests
-- Accepted tests, a column per array; received at $20, to be settled $21 seconds later.
INSERT INTO gateway.test (
    test_id, client_id, batch_id, request_reference, immediate, meter_type, remote_address, canonical_address, transport,
    coms_settings, outstation_address, serial_number, password, survey_days, survey_from, traceparent, survey_date,
    run_windows, device_id, received_at, settle_at
)
SELECT new.*, $20::timestamptz, $20::timestamptz + make_interval(secs => $21::float8)
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::integer[], $15::date[], $16::text[], $17::date[], $18::jsonb[],
    $19::text[]
) AS new

-- name: own_test
-- A client's own test: why it is gone if it is, and its trace.
SELECT removed_why, traceparent
FROM gateway.test
WHERE test_id = $1 AND client_id = $2

-- name: any_test
-- A test that was accepted, for whichever client: its trace.
SELECT traceparent
FROM gateway.test
WHERE test_id = $1

-- name: own_batch
-- The tests of a client's batch that have not been removed; no row if the batch is not the client's.
SELECT ARRAY(
    SELECT test_id
    FROM gateway.test
    WHERE test.batch_id = batch.batch_id AND removed_at IS NULL
    ORDER BY test_id
) AS test_ids
FROM gateway.batch
WHERE batch_id = $1 AND client_id = $2

-- name: doubt
-- What the scheduler says of these tests is to be asked in $2 seconds: whether it cancels them may stay unheard.
UPDATE gateway.test
SET scheduler_knows = false, settle_at = now() + make_interval(secs => $2::float8)
WHERE test_id IN (
    SELECT test_id FROM gateway.test
    WHERE test_id = ANY ($1::bigint[]) AND removed_at IS NULL
    ORDER BY test_id
    FOR UPDATE
)

-- name: remove
-- Mark tests as gone, each once; the rows are those marked now.
UPDATE gateway.test
SET removed_at = now(), removed_why = $2
WHERE test_id IN (
    SELECT test_id FROM gateway.test
    WHERE test_id = ANY ($1::bigint[]) AND removed_at IS NULL
    ORDER BY test_id
    FOR UPDATE
)
RETURNING test_id

-- name: claim_unsettled
-- Up to $2 tests whose hand-over is due to be asked about; nobody else asks for the next $1 seconds.
UPDATE gateway.test
SET settle_at = now() + make_interval(secs => $1::float8)
WHERE test_id IN (
    SELECT test_id
    FROM gateway.test
    WHERE removed_at IS NULL AND NOT (scheduler_knows AND results_knows) AND settle_at <= now()
    ORDER BY settle_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING
    test_id, client_id, batch_id, request_reference, immediate, meter_type, remote_address, canonical_address, transport,
    coms_settings, outstation_address, serial_number, password, survey_days, survey_from, run_windows, traceparent,
    received_at, scheduler_knows, results_knows, (
        SELECT jsonb_build_object('device_id', device_id, 'serial_number', device.serial_number, 'zone', zone.name)
        FROM gateway.device
        LEFT JOIN gateway.timezone zone USING (timezone_id)
        WHERE device.device_id = test.device_id
    ) AS device

-- name: unsettled_age
-- Seconds since the oldest test was accepted of which not both who were told have said that they know it.
SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8
FROM gateway.test
WHERE removed_at IS NULL AND NOT (scheduler_knows AND results_knows)

-- name: settle
-- What the scheduler ($1) and results ($2) have said they know.
UPDATE gateway.test
SET scheduler_knows = scheduler_knows OR test_id = ANY ($1::bigint[]),
    results_knows = results_knows OR test_id = ANY ($2::bigint[])
WHERE test_id IN (
    SELECT test_id FROM gateway.test
    WHERE test_id = ANY ($1::bigint[] || $2::bigint[])
    ORDER BY test_id
    FOR UPDATE
)

-- name: forget_keys
-- Idempotency keys that bind nobody any more.
DELETE FROM gateway.idempotency
WHERE (client_id, key) IN (
    SELECT client_id, key FROM gateway.idempotency
    WHERE created_at <= now() - interval '1 day'
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)

-- name: forget_tests
-- Tests older than $1 days: the published views do not hold them for longer either.
DELETE FROM gateway.test
WHERE test_id IN (
    SELECT test_id FROM gateway.test
    WHERE received_at < now() - make_interval(days => $1)
    ORDER BY test_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: forget_batches
-- Batches older than $1 days.
DELETE FROM gateway.batch
WHERE batch_id IN (
    SELECT batch_id FROM gateway.batch
    WHERE received_at < now() - make_interval(days => $1)
        AND NOT EXISTS (SELECT FROM gateway.test WHERE test.batch_id = batch.batch_id)
    ORDER BY batch_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: alive
-- That the database answers and can be written to.
SELECT pg_is_in_recovery() AS read_only
