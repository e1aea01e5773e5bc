-- name: cancel_held
-- Cancel what is held; what is not known here is cancelled before it comes.
INSERT INTO scheduler.job AS job (test_id, state, ended_at, settle_at)
SELECT test_id, 'cancelled', now(), now() + make_interval(secs => $2)
FROM unnest($1::bigint[]) AS test_id
ORDER BY test_id
ON CONFLICT (test_id) DO UPDATE
    SET state = 'cancelled', ended_at = excluded.ended_at, settle_at = excluded.settle_at, terms = NULL
WHERE job.state = 'held'
RETURNING job.test_id, job.ended_at

-- name: delete_done
-- Delete what is done.
UPDATE scheduler.job
SET state = 'cancelled', deleted = true, ended_at = now(), settle_at = now() + make_interval(secs => $2), terms = NULL
FROM (
    SELECT test_id
    FROM scheduler.job
    WHERE test_id = ANY ($1::bigint[]) AND state = 'done'
    ORDER BY test_id
    FOR UPDATE
) AS done
WHERE job.test_id = done.test_id AND job.state = 'done'
RETURNING job.test_id, job.ended_at

-- name: gone
-- Which of these are cancelled or deleted, now or earlier.
SELECT test_id, deleted
FROM scheduler.job
WHERE test_id = ANY ($1::bigint[]) AND state = 'cancelled'
ORDER BY test_id
