-- name: lock_jobs
-- Jobs that are still open, locked in key order.
SELECT job.test_id, job.state, job.kind, job.attempt, job.tries, job.counted, job.costless, job.reported, job.sections,
    job.alone, job.ready_at, job.call_id, job.traceparent, job.client_id, job.received_at, call.not_after
FROM scheduler.job
LEFT JOIN scheduler.call USING (call_id)
WHERE job.test_id = ANY ($1::bigint[]) AND job.state IN ('held', 'called')
ORDER BY job.test_id
FOR UPDATE OF job

-- name: end_attempts
-- What has been decided about locked jobs: final, or held again after a pause. An operator's hold stays.
UPDATE scheduler.job
SET state = CASE WHEN ended.final THEN 'done' ELSE 'held' END::scheduler.job_state,
    ready_at = CASE WHEN ended.final OR job.ready_at = 'infinity' THEN job.ready_at
        ELSE greatest(now() + make_interval(secs => ended.pause), ended.not_before) END,
    tries = ended.tries,
    costless = ended.costless,
    counted = ended.counted,
    reported = ended.reported,
    sections = ended.sections,
    alone = ended.alone,
    outcome = ended.outcome,
    failure = ended.failure,
    detail = ended.detail,
    ended_at = CASE WHEN ended.final THEN now() END,
    settle_at = CASE WHEN ended.final THEN now() + make_interval(secs => $2) END
FROM jsonb_to_recordset($1::jsonb) AS ended (
    test_id bigint, attempt integer, final boolean, pause float8, not_before timestamptz, tries integer,
    costless integer, counted integer, reported integer, sections jsonb, alone boolean, outcome text, failure text,
    detail text)
WHERE job.test_id = ended.test_id AND job.attempt = ended.attempt AND job.state IN ('held', 'called')
RETURNING job.test_id, job.state, job.reported, job.outcome, job.failure, job.detail, job.ended_at, job.traceparent

-- name: end_calls
-- The line of these calls is down; their addresses are free.
UPDATE scheduler.call
SET ended_at = now(), ending = $2::scheduler.call_ending
FROM (
    SELECT call_id
    FROM scheduler.call
    WHERE call_id = ANY ($1::uuid[]) AND ended_at IS NULL
    ORDER BY call_id
    FOR UPDATE
) AS running
WHERE call.call_id = running.call_id
RETURNING call.canonical_address, call.dialler

-- name: give_back
-- Hold again, at no try, what has not been reported of a call that its dialler gives back.
UPDATE scheduler.job
SET state = 'held', ready_at = now() + make_interval(secs => $2)
FROM (
    SELECT job.test_id
    FROM scheduler.job
    JOIN scheduler.call USING (call_id)
    WHERE call.call_id = $1 AND call.ended_at IS NULL AND job.state = 'called'
    ORDER BY job.test_id
    FOR UPDATE OF job
) AS given
WHERE job.test_id = given.test_id AND job.state = 'called' AND job.call_id = $1
