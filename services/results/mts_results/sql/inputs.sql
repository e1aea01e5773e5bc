-- name: make_tests
-- Make the rows of tests not heard of before.
INSERT INTO results.test (test_id, seen_at)
SELECT test_id, $2::timestamptz FROM unnest($1::bigint[]) AS test_id
ORDER BY test_id
ON CONFLICT DO NOTHING;

-- name: lock_tests
-- Lock tests in the order of their ids and return those that are not cancelled.
SELECT test_id, cancelled_at FROM results.test
WHERE test_id = ANY($1::bigint[])
ORDER BY test_id
FOR UPDATE;

-- name: store_requests
-- Keep test.requested; the first stands.
INSERT INTO results.request (test_id, item)
SELECT test_id, item::jsonb FROM unnest($1::bigint[], $2::text[]) AS r (test_id, item)
ORDER BY test_id
ON CONFLICT DO NOTHING;

-- name: store_attempts
-- Keep attempt.report; the first of an attempt stands.
INSERT INTO results.attempt (test_id, attempt, call_id, outcome, failure, detail, started_at, ended_at,
    connection_started_at, connection_ended_at, sections, data)
SELECT test_id, attempt, call_id, outcome, failure, detail, started_at, ended_at, connection_started_at,
    connection_ended_at, sections::jsonb, data::jsonb
FROM unnest($1::bigint[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::text[])
    AS r (test_id, attempt, call_id, outcome, failure, detail, started_at, ended_at, connection_started_at,
        connection_ended_at, sections, data)
ORDER BY test_id, attempt
ON CONFLICT DO NOTHING;

-- name: store_traces
-- Keep the wire traces of reports.
INSERT INTO results.trace (test_id, attempt, frames)
SELECT test_id, attempt, frames FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) AS r (test_id, attempt, frames)
ORDER BY test_id, attempt
ON CONFLICT DO NOTHING;

-- name: store_lines
-- Keep call.finished for each attempt of the call; the first stands.
INSERT INTO results.line (test_id, attempt, connected_at, disconnected_at)
SELECT test_id, attempt, connected_at, disconnected_at
FROM unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
    AS r (test_id, attempt, connected_at, disconnected_at)
ORDER BY test_id, attempt
ON CONFLICT DO NOTHING;

-- name: store_outcomes
-- Keep test.finished. The later word stands; of the same moment, the one that waits for no report, then the later try.
INSERT INTO results.outcome AS o (test_id, attempt, outcome, failure, detail, finished_at)
SELECT test_id, attempt, outcome, failure, detail, finished_at
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
    AS r (test_id, attempt, outcome, failure, detail, finished_at)
ORDER BY test_id
ON CONFLICT (test_id) DO UPDATE
SET attempt = excluded.attempt, outcome = excluded.outcome, failure = excluded.failure, detail = excluded.detail,
    finished_at = excluded.finished_at
WHERE (excluded.finished_at, excluded.attempt IS NULL, coalesce(excluded.attempt, 0))
    > (o.finished_at, o.attempt IS NULL, coalesce(o.attempt, 0));

-- name: mark_cancelled
-- Mark tests as cancelled for ever.
UPDATE results.test t SET cancelled_at = c.cancelled_at
FROM unnest($1::bigint[], $2::timestamptz[]) AS c (test_id, cancelled_at)
WHERE t.test_id = c.test_id AND t.test_id = ANY($1::bigint[]) AND t.cancelled_at IS NULL;

-- name: delete_inputs
-- Delete all that is stored of cancelled tests.
WITH request AS (DELETE FROM results.request WHERE test_id = ANY($1::bigint[])),
attempt AS (DELETE FROM results.attempt WHERE test_id = ANY($1::bigint[])),
trace AS (DELETE FROM results.trace WHERE test_id = ANY($1::bigint[])),
line AS (DELETE FROM results.line WHERE test_id = ANY($1::bigint[])),
part AS (DELETE FROM results.report_part WHERE test_id = ANY($1::bigint[]))
DELETE FROM results.outcome WHERE test_id = ANY($1::bigint[]);
