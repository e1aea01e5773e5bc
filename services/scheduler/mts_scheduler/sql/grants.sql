-- name: begin_claim
-- One claim at a time for one ask, however often it is asked. Plans made while the tables are still empty must not scan
-- them when they have grown; the cost that stands for "not" would seem worth compiling.
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0)), set_config('enable_seqscan', 'off', true),
    set_config('jit', 'off', true)

-- name: welcome
-- An ask is a sign of life: a dialler without a lease gets one.
INSERT INTO scheduler.dialler (name, transport, lines, lease_until)
SELECT $1, $2, $3, now() + make_interval(secs => $4)
WHERE NOT EXISTS (SELECT FROM scheduler.dialler WHERE name = $1 AND transport = $2 AND lease_until > now())
ON CONFLICT (name, transport) DO UPDATE SET lease_until = excluded.lease_until

-- name: granted_before
-- What this ask was granted earlier: its calls that still run, with their tests that have not ended.
SELECT call.call_id, call.remote_address, call.canonical_address, call.transport, call.coms_settings, call.kind,
    extract(epoch FROM call.not_after - clock_timestamp())::float8 AS seconds_left,
    job.terms, job.traceparent, job.attempt, job.tries
FROM scheduler.call
LEFT JOIN scheduler.job ON job.call_id = call.call_id AND job.state = 'called' AND call.ended_at IS NULL
WHERE call.nonce = $1
ORDER BY call.call_id, job.test_id

-- name: window_sets
-- The different run windows that lanes have, and the database's time.
SELECT windows, now() AS now
FROM scheduler.lane
WHERE kind = 'overnight'
GROUP BY windows

-- name: claim_calls
-- Grant a dialler calls: immediate tests before overnight ones, the lane that was granted to longest ago first.
-- $1 dialler, $2 nonce, $3 transport, $4 calls wanted, $5 the windows now open, when they opened and when they close,
-- $6 and $7 patterns of the addresses that its lines may dial and may not, $8 tests in one call.
-- Lines and jobs that someone else holds are passed over; what two claims still both find is decided by the unique
-- index on the addresses of running calls, to which all claims write in the order of addresses. OFFSET 0 makes an
-- EXISTS a look-up for each line, whatever the planner believes of the table's size.
WITH open_lane AS (
    SELECT lane.client_id, lane.kind, lane.granted_at, opening.opened_at, opening.closes_at
    FROM scheduler.lane
    LEFT JOIN jsonb_to_recordset($5::jsonb) AS opening (windows jsonb, opened_at timestamptz, closes_at timestamptz)
        ON lane.kind = 'overnight' AND opening.windows = lane.windows AND opening.closes_at > clock_timestamp()
    WHERE lane.kind = 'immediate' OR opening.closes_at IS NOT NULL
), waiting AS (
    SELECT free.*, open_lane.granted_at, open_lane.opened_at, open_lane.closes_at,
        row_number() OVER (PARTITION BY free.client_id, free.kind ORDER BY free.ready_at) AS turn
    FROM open_lane
    CROSS JOIN LATERAL (
        SELECT line.client_id, line.kind, line.canonical_address, line.coms_settings, line.ready_at
        FROM scheduler.line
        WHERE line.client_id = open_lane.client_id AND line.kind = open_lane.kind AND line.transport = $3
            AND line.ready_at <= now()
            AND line.canonical_address LIKE ANY ($6::text[])
            AND NOT line.canonical_address LIKE ANY ($7::text[])
            AND NOT EXISTS (
                SELECT FROM scheduler.call
                WHERE call.canonical_address = line.canonical_address AND call.ended_at IS NULL
                OFFSET 0)
            AND NOT EXISTS (
                SELECT FROM scheduler.quarantine
                WHERE quarantine.canonical_address = line.canonical_address AND quarantine.until > now()
                OFFSET 0)
        ORDER BY line.ready_at
        LIMIT 2 * $4::integer
    ) AS free
), ranked AS (
    SELECT client_id, kind, canonical_address, coms_settings, opened_at, closes_at,
        row_number() OVER (ORDER BY kind, turn, granted_at, client_id) AS place
    FROM waiting
    ORDER BY place
    LIMIT 2 * $4::integer
), locked AS (
    SELECT line.client_id, line.kind, line.canonical_address, line.coms_settings, ranked.opened_at, ranked.closes_at,
        ranked.place
    FROM ranked
    JOIN scheduler.line USING (client_id, kind, canonical_address, coms_settings)
    WHERE line.ready_at <= now()
    ORDER BY ranked.place
    LIMIT $4
    FOR UPDATE OF line SKIP LOCKED
), due AS (
    SELECT locked.*, job.test_id, job.alone, job.remote_address,
        row_number() OVER turn AS turn, first_value(job.alone) OVER turn AS first_alone
    FROM locked
    CROSS JOIN LATERAL (
        SELECT job.test_id, job.alone, job.ready_at, job.terms ->> 'remote_address' AS remote_address
        FROM scheduler.job
        WHERE job.client_id = locked.client_id AND job.kind = locked.kind
            AND job.canonical_address = locked.canonical_address AND job.coms_settings = locked.coms_settings
            AND job.state = 'held' AND job.ready_at <= now()
        ORDER BY job.ready_at, job.test_id
        LIMIT $8
        FOR UPDATE SKIP LOCKED
    ) AS job
    WINDOW turn AS (PARTITION BY locked.place ORDER BY job.ready_at, job.test_id)
), chosen AS (
    SELECT *
    FROM due
    WHERE turn = 1 OR NOT (first_alone OR alone)
), opened AS (
    INSERT INTO scheduler.call (
        call_id, dialler, nonce, client_id, kind, canonical_address, coms_settings, remote_address, transport,
        not_after, started_at)
    SELECT gen_random_uuid(), $1, $2, client_id, kind, canonical_address, coms_settings, remote_address, $3,
        closes_at, clock_timestamp()
    FROM chosen
    WHERE turn = 1
    ORDER BY canonical_address, place
    ON CONFLICT (canonical_address) WHERE ended_at IS NULL DO NOTHING
    RETURNING *
), granted AS (
    UPDATE scheduler.job
    SET state = 'called', attempt = job.attempt + 1, call_id = opened.call_id
    FROM chosen
    JOIN opened USING (client_id, kind, canonical_address, coms_settings)
    WHERE job.test_id = chosen.test_id AND job.state = 'held'
    RETURNING job.test_id, job.call_id, job.terms, job.traceparent, job.attempt, job.tries,
        extract(epoch FROM clock_timestamp() - greatest(job.ready_at, chosen.opened_at))::float8 AS lag
), served AS (
    UPDATE scheduler.lane
    SET granted_at = clock_timestamp()
    FROM (
        SELECT lane.client_id, lane.kind
        FROM scheduler.lane
        WHERE (lane.client_id, lane.kind) IN (SELECT client_id, kind FROM opened)
        FOR UPDATE SKIP LOCKED
    ) AS free
    WHERE lane.client_id = free.client_id AND lane.kind = free.kind
), remaining AS (
    SELECT locked.client_id, locked.kind, locked.canonical_address, locked.coms_settings, (
            SELECT job.ready_at
            FROM scheduler.job
            WHERE job.client_id = locked.client_id AND job.kind = locked.kind
                AND job.canonical_address = locked.canonical_address AND job.coms_settings = locked.coms_settings
                AND job.state = 'held' AND job.test_id NOT IN (SELECT test_id FROM granted)
            ORDER BY job.ready_at, job.test_id
            LIMIT 1
        ) AS ready_at
    FROM locked
), shortened AS (
    UPDATE scheduler.line
    SET ready_at = remaining.ready_at
    FROM remaining
    WHERE line.client_id = remaining.client_id AND line.kind = remaining.kind
        AND line.canonical_address = remaining.canonical_address AND line.coms_settings = remaining.coms_settings
        AND remaining.ready_at IS NOT NULL
), emptied AS (
    DELETE FROM scheduler.line
    USING remaining
    WHERE line.client_id = remaining.client_id AND line.kind = remaining.kind
        AND line.canonical_address = remaining.canonical_address AND line.coms_settings = remaining.coms_settings
        AND remaining.ready_at IS NULL
)
SELECT opened.call_id, opened.remote_address, opened.canonical_address, opened.transport, opened.coms_settings,
    extract(epoch FROM opened.not_after - clock_timestamp())::float8 AS seconds_left, opened.kind, granted.terms,
    granted.traceparent, granted.attempt, granted.tries, granted.lag
FROM opened
JOIN granted USING (call_id)
ORDER BY opened.call_id, granted.test_id
