-- name: waiting_levels
-- For each kind of lane and transport: tests held, those that an operator holds, those that are due now and whose
-- address is free, and for how long the first of them has been due. $1 = the windows that are open and since when.
WITH open_lane AS (
    SELECT lane.client_id, lane.kind, opening.opened_at,
        lane.kind = 'immediate' OR opening.opened_at IS NOT NULL AS is_open
    FROM scheduler.lane
    LEFT JOIN jsonb_to_recordset($1::jsonb) AS opening (windows jsonb, opened_at timestamptz)
        ON lane.kind = 'overnight' AND opening.windows = lane.windows
), waiting AS (
    SELECT job.kind, job.transport, job.ready_at = 'infinity' AS is_on_hold,
        greatest(job.ready_at, open_lane.opened_at) AS due_since,
        open_lane.is_open
        AND job.ready_at <= now()
        AND NOT EXISTS (
            SELECT FROM scheduler.call
            WHERE call.canonical_address = job.canonical_address AND call.ended_at IS NULL)
        AND NOT EXISTS (
            SELECT FROM scheduler.quarantine
            WHERE quarantine.canonical_address = job.canonical_address AND quarantine.until > now()) AS is_due
    FROM scheduler.job
    JOIN open_lane USING (client_id, kind)
    WHERE job.state = 'held'
)
SELECT kind, transport, count(is_due) AS held, count(*) FILTER (WHERE is_on_hold) AS on_hold,
    count(*) FILTER (WHERE is_due) AS due,
    coalesce(extract(epoch FROM now() - min(due_since) FILTER (WHERE is_due)), 0)::float8 AS due_age
FROM unnest(enum_range(NULL::scheduler.lane_kind)) AS kind
CROSS JOIN unnest(ARRAY['modem', 'tcp']) AS transport
LEFT JOIN waiting USING (kind, transport)
GROUP BY kind, transport

-- name: client_levels
-- Tests held, of the $1 clients with the most and of all others together.
SELECT CASE WHEN place <= $1 THEN client_id::text ELSE 'other' END AS client, sum(held)::bigint AS held
FROM (
    SELECT client_id, count(*) AS held, row_number() OVER (ORDER BY count(*) DESC, client_id) AS place
    FROM scheduler.job
    WHERE state = 'held'
    GROUP BY client_id
) AS counted
GROUP BY 1

-- name: unsettled_age
-- Seconds since the oldest end of which results has not said yet that it is there.
SELECT coalesce(extract(epoch FROM now() - min(ended_at)), 0)::float8
FROM scheduler.job
WHERE settle_at IS NOT NULL

-- name: line_levels
-- For each transport: diallers with a lease, their lines, running calls, and those whose dialler has no lease.
SELECT transport, present.diallers, present.lines, busy.running, busy.orphaned
FROM unnest(ARRAY['modem', 'tcp']) AS transport
CROSS JOIN LATERAL (
    SELECT count(*) AS diallers, coalesce(sum(dialler.lines), 0) AS lines
    FROM scheduler.dialler
    WHERE dialler.transport = transport.transport AND lease_until >= now()
) AS present
CROSS JOIN LATERAL (
    SELECT count(*) AS running, count(*) FILTER (WHERE NOT EXISTS (
        SELECT FROM scheduler.dialler
        WHERE dialler.name = call.dialler AND dialler.transport = call.transport AND lease_until >= now())) AS orphaned
    FROM scheduler.call
    WHERE call.transport = transport.transport AND call.ended_at IS NULL
) AS busy

-- name: quarantined
-- Addresses that are left alone now.
SELECT count(*)
FROM scheduler.quarantine
WHERE until > now()
