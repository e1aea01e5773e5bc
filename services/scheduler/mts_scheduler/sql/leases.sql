-- name: renew
-- A dialler is alive.
INSERT INTO scheduler.dialler (name, transport, lines, lease_until)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
ON CONFLICT (name, transport) DO UPDATE SET lines = excluded.lines, lease_until = excluded.lease_until

-- name: note_missing
-- Since when a dialler that is alive has not named its calls; it knows nothing of those, or has forgotten them.
UPDATE scheduler.call
SET missing_since = CASE WHEN call.call_id = ANY ($3::uuid[]) THEN NULL ELSE now() END
FROM (
    SELECT call_id
    FROM scheduler.call
    WHERE dialler = $1 AND transport = $2 AND ended_at IS NULL
        AND (call_id = ANY ($3::uuid[])) = (missing_since IS NOT NULL)
    ORDER BY call_id
    FOR UPDATE
) AS changed
WHERE call.call_id = changed.call_id

-- name: running_calls
-- Which of these calls a dialler still holds.
SELECT call_id
FROM scheduler.call
WHERE call_id = ANY ($1::uuid[]) AND dialler = $2 AND ended_at IS NULL

-- name: hold_expired
-- Diallers whose lease ran out: none of them renews it while their calls are ended.
SELECT name
FROM scheduler.dialler
WHERE lease_until < now()
ORDER BY name, transport
FOR UPDATE

-- name: lost_calls
-- Running calls of diallers without a lease, and those that their dialler has not named for a whole lease.
SELECT call_id
FROM scheduler.call
WHERE ended_at IS NULL
    AND (missing_since < now() - make_interval(secs => $1)
        OR NOT EXISTS (
            SELECT FROM scheduler.dialler
            WHERE dialler.name = call.dialler AND dialler.transport = call.transport AND dialler.lease_until >= now()))
ORDER BY call_id
LIMIT 200

-- name: lost_tests
-- Tests in lost calls, and those whose call ended a whole lease ago and whose own end was never told.
SELECT job.test_id, job.call_id
FROM scheduler.job
JOIN scheduler.call USING (call_id)
WHERE job.state = 'called'
    AND (call.call_id = ANY ($1::uuid[]) OR call.ended_at < now() - make_interval(secs => $2))
ORDER BY job.test_id
LIMIT 5000

-- name: quarantine
-- Leave addresses alone until the meters must have hung up.
INSERT INTO scheduler.quarantine AS quarantine (canonical_address, until, reason)
SELECT canonical_address, now() + make_interval(secs => $3), 'a call was lost with dialler ' || dialler
FROM unnest($1::text[], $2::text[]) AS lost (canonical_address, dialler)
ORDER BY canonical_address
ON CONFLICT (canonical_address) DO UPDATE
    SET until = greatest(quarantine.until, excluded.until), reason = excluded.reason

-- name: forget_diallers
-- Diallers without a lease and without calls.
DELETE FROM scheduler.dialler
WHERE lease_until < now()
    AND NOT EXISTS (
        SELECT FROM scheduler.call
        WHERE call.dialler = dialler.name AND call.transport = dialler.transport AND call.ended_at IS NULL)

-- name: lane_windows
-- The different lanes by their run windows, and the database's time.
SELECT kind, windows, now() AS now
FROM scheduler.lane
GROUP BY kind, windows

-- name: waited_too_long
-- Held tests that have been due since before the time given for their lane's windows.
SELECT job.test_id, job.ready_at
FROM jsonb_to_recordset($1::jsonb) AS given_up (kind scheduler.lane_kind, windows jsonb, since timestamptz)
JOIN scheduler.lane USING (kind, windows)
JOIN scheduler.line USING (client_id, kind)
JOIN scheduler.job USING (client_id, kind, canonical_address, coms_settings)
WHERE line.ready_at <= given_up.since AND job.state = 'held' AND job.ready_at <= given_up.since
ORDER BY job.test_id
LIMIT 1000
