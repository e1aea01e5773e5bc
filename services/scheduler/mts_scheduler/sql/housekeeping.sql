-- name: forget_jobs
-- Remove jobs that ended and were settled longer ago than they are to be remembered.
DELETE FROM scheduler.job
WHERE test_id = ANY (ARRAY(
    SELECT test_id
    FROM scheduler.job
    WHERE state IN ('done', 'cancelled') AND ended_at < now() - make_interval(days => $1) AND settle_at IS NULL
    ORDER BY ended_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED))
RETURNING test_id

-- name: forget_calls
-- Remove calls that ended longer ago than they are to be remembered.
DELETE FROM scheduler.call
WHERE call_id = ANY (ARRAY(
    SELECT call_id
    FROM scheduler.call
    WHERE ended_at < now() - make_interval(days => $1)
    ORDER BY ended_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED))
RETURNING call_id

-- name: forget_quarantines
-- Remove quarantines that are over.
DELETE FROM scheduler.quarantine
WHERE until < now()

-- name: check
-- Whether the schema can be read.
SELECT count(*)
FROM (SELECT FROM scheduler.job LIMIT 1) AS job
