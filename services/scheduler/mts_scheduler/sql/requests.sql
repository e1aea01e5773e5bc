-- name: oldest_kept
-- The time before which a request is older than what is remembered of finished jobs.
SELECT now() - make_interval(days => $1)

-- name: hold_requested
-- Hold what was requested; whoever is here already, a tombstone too, stays as it is.
INSERT INTO scheduler.job (
    test_id, state, client_id, kind, transport, canonical_address, coms_settings, terms, traceparent, received_at,
    ready_at)
SELECT test_id, 'held', client_id, kind, transport, canonical_address, coms_settings, terms, traceparent, received_at,
    now()
FROM jsonb_to_recordset($1::jsonb) AS requested (
    test_id bigint, client_id bigint, kind scheduler.lane_kind, transport text, canonical_address text,
    coms_settings text, terms jsonb, traceparent text, received_at timestamptz)
ORDER BY test_id
ON CONFLICT (test_id) DO NOTHING

-- name: open_lanes
-- Make sure of the lanes of what was requested; the newest test's windows hold for its whole lane.
INSERT INTO scheduler.lane AS lane (client_id, kind, windows, windows_from)
SELECT client_id, kind, windows, test_id
FROM jsonb_to_recordset($1::jsonb) AS requested (
    client_id bigint, kind scheduler.lane_kind, windows jsonb, test_id bigint)
ORDER BY client_id, kind
ON CONFLICT (client_id, kind) DO UPDATE SET windows = excluded.windows, windows_from = excluded.windows_from
WHERE lane.windows_from < excluded.windows_from
