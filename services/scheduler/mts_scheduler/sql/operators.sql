-- What operators see and change. A test that an operator holds is ready at 'infinity': no claim finds it.

-- name: list_jobs
-- Tests that wait: of a client ($1), immediate or not ($2), on hold or not ($3), with a part of an address ($4), NULL =
-- any; $5 rows after $6. The index of waiting jobs is read whole, rather than all jobs in the order of their ids; their
-- terms are read for the page alone, unless they must be looked through.
WITH waiting AS MATERIALIZED (
    SELECT test_id
    FROM scheduler.job
    WHERE state = 'held'
        AND ($1::bigint IS NULL OR client_id = $1)
        AND ($2::boolean IS NULL OR (kind = 'immediate') = $2)
        AND ($3::boolean IS NULL OR (ready_at = 'infinity') = $3)
        AND ($4::text IS NULL OR strpos(terms ->> 'remote_address', $4) > 0 OR strpos(canonical_address, $4) > 0)
), page AS (
    SELECT job.test_id, client_id, kind, transport, terms ->> 'meter_type' AS meter_type,
        terms ->> 'remote_address' AS remote_address, nullif(ready_at, 'infinity') AS ready_at, attempt, tries, failure,
        received_at
    FROM (SELECT test_id FROM waiting ORDER BY test_id LIMIT $5 OFFSET $6) AS chosen
    JOIN scheduler.job USING (test_id)
)
SELECT total, page.*
FROM (SELECT count(*) AS total FROM waiting) AS counted
LEFT JOIN page ON true
ORDER BY test_id

-- name: hold_jobs
-- Keep tests that wait from being called.
UPDATE scheduler.job
SET ready_at = 'infinity'
FROM (
    SELECT test_id
    FROM scheduler.job
    WHERE test_id = ANY ($1::bigint[]) AND state = 'held'
    ORDER BY test_id
    FOR UPDATE
) AS waiting
WHERE job.test_id = waiting.test_id AND job.state = 'held'
RETURNING job.test_id

-- name: release_jobs
-- Let tests that wait be called when their turn comes, and if asked to ($2), at once rather than in their run window.
UPDATE scheduler.job
SET ready_at = least(job.ready_at, now()), kind = CASE WHEN $2 THEN 'immediate' ELSE job.kind END
FROM (
    SELECT test_id
    FROM scheduler.job
    WHERE test_id = ANY ($1::bigint[]) AND state = 'held'
    ORDER BY test_id
    FOR UPDATE
) AS waiting
WHERE job.test_id = waiting.test_id AND job.state = 'held'
RETURNING job.test_id

-- name: open_immediate_lanes
-- Make sure of the lanes of tests that are about to be called at once.
INSERT INTO scheduler.lane (client_id, kind, windows_from)
SELECT DISTINCT client_id, 'immediate'::scheduler.lane_kind, 0
FROM scheduler.job
WHERE test_id = ANY ($1::bigint[]) AND state = 'held'
ORDER BY client_id
ON CONFLICT (client_id, kind) DO NOTHING

-- name: list_diallers
-- Who has a lease, or had one until lately.
SELECT name, transport, lines, lease_until, (
        SELECT count(*)
        FROM scheduler.call
        WHERE call.dialler = dialler.name AND call.transport = dialler.transport AND call.ended_at IS NULL
    ) AS calls
FROM scheduler.dialler
ORDER BY name, transport
LIMIT $1

-- name: list_calls
-- The calls that run, with their tests that have not ended.
SELECT call_id, dialler, call.client_id, remote_address, call.transport, started_at, not_after, ARRAY(
        SELECT test_id
        FROM scheduler.job
        WHERE job.call_id = call.call_id AND job.state = 'called'
        ORDER BY test_id
    ) AS test_ids
FROM scheduler.call
WHERE ended_at IS NULL
ORDER BY started_at, call_id
LIMIT $1

-- name: list_quarantine
-- The addresses that are left alone.
SELECT canonical_address, until, reason
FROM scheduler.quarantine
WHERE until > now()
ORDER BY until, canonical_address
LIMIT $1

-- name: lift_quarantine
-- Leave an address alone no longer.
DELETE FROM scheduler.quarantine
WHERE canonical_address = $1 AND until > now()
RETURNING canonical_address
