-- name: known
-- Which of these tests have been requested here, or cancelled.
SELECT test_id, state, deleted
FROM scheduler.job
WHERE test_id = ANY ($1::bigint[])
ORDER BY test_id

-- name: take_unsettled
-- Ends that were told long enough ago to ask about; nobody else asks about them meanwhile.
WITH due AS MATERIALIZED (
    SELECT test_id
    FROM scheduler.job
    WHERE settle_at <= now()
    ORDER BY settle_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE scheduler.job
SET settle_at = now() + make_interval(secs => $1)
FROM due
WHERE job.test_id = due.test_id
RETURNING job.test_id, job.state, job.reported, job.outcome, job.failure, job.detail, job.ended_at, job.traceparent

-- name: lock_unsettled
-- Lock, in key order, what has ended and is not settled.
SELECT test_id, state, attempt, reported, recalls, outcome, failure, detail, ended_at, traceparent
FROM scheduler.job
WHERE test_id = ANY ($1::bigint[]) AND settle_at IS NOT NULL
ORDER BY test_id
FOR UPDATE

-- name: settle
-- Results has it all: the terms, with the meter's password, are needed no more.
UPDATE scheduler.job
SET settle_at = NULL, terms = NULL, sections = '{}'
WHERE test_id = ANY ($1::bigint[]) AND settle_at IS NOT NULL

-- name: recall
-- The report of a test's last attempt was lost: hold it for another try. The higher number fences off what may yet come
-- of that attempt.
UPDATE scheduler.job
SET state = 'held', ready_at = now(), attempt = attempt + 1, tries = least(tries, $2 - 1), recalls = recalls + 1,
    reported = NULL, sections = '{}', outcome = NULL, failure = NULL, detail = NULL, ended_at = NULL, settle_at = NULL
WHERE test_id = ANY ($1::bigint[]) AND state = 'done'

-- name: end_unreported
-- The report was lost and the test is not tried again: its end stands on no attempt.
UPDATE scheduler.job
SET reported = NULL, outcome = 'error', detail = CASE WHEN outcome = 'error' THEN detail ELSE $2 END
WHERE test_id = ANY ($1::bigint[]) AND state = 'done'
RETURNING test_id, reported, outcome, failure, detail, ended_at, traceparent
