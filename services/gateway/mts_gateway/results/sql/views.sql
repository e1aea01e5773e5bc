-- What the gateway shows of the results: its own rows, joined with the published views.

-- name: status
-- A client's test with all that is known of it.
SELECT
    test.*,
    coalesce(status.completed, false) AS completed,
    coalesce(status.result_summary, 'PENDING') AS result_summary,
    status.test_started_at,
    status.test_ended_at,
    status.connection_started_at,
    status.connection_ended_at,
    status.serial_number AS serial_number_read,
    status.meter_time,
    status.status_events::text AS status_events,
    status.meter_properties::text AS meter_properties,
    status.profile_configuration::text AS profile_configuration,
    status.registers,
    status.survey::text AS survey
FROM gateway.test
LEFT JOIN results_v1.test_status AS status USING (test_id)
WHERE test.test_id = $1 AND test.client_id = $2

-- name: batch_status
-- The tests that are left of a client's batch, in the order of the request.
SELECT
    test.test_id,
    test.request_reference,
    test.meter_type,
    test.remote_address,
    coalesce(status.completed, false) AS completed,
    coalesce(status.result_summary, 'PENDING') AS result_summary
FROM gateway.test
LEFT JOIN results_v1.test_status AS status USING (test_id)
WHERE test.batch_id = $1 AND test.removed_at IS NULL
ORDER BY test.test_id

-- name: search
-- A page of a client's tests with the number of all that match; one row without a test when the page is empty.
WITH matching AS NOT MATERIALIZED (
    SELECT *
    FROM results_v1.test_search AS found
    WHERE client_id = $1
        AND received_at >= $2
        AND ($3::timestamptz IS NULL OR received_at < $3)
        AND ($4::text IS NULL OR request_reference = $4)
        AND ($5::text IS NULL OR meter_type = $5)
        AND ($6::text IS NULL OR strpos(remote_address, $6) > 0)
        AND ($7::text = 'ALL' OR (result_summary = 'PENDING') = ($7 = 'PENDING'))
        AND NOT EXISTS (
            SELECT FROM gateway.test AS gone
            WHERE gone.client_id = $1 AND gone.test_id = found.test_id AND gone.removed_at IS NOT NULL
        )
)
SELECT counted.total, page.*
FROM (SELECT count(*) AS total FROM matching) AS counted
LEFT JOIN (
    SELECT
        test_id, batch_id, request_reference, meter_type, remote_address, received_at, completed_at, result_summary
    FROM matching
    ORDER BY CASE WHEN $8::boolean THEN -test_id ELSE test_id END
    LIMIT $9
    OFFSET $10
) AS page ON true
ORDER BY CASE WHEN $8::boolean THEN -page.test_id ELSE page.test_id END

-- name: trace
-- The attempts at a test with their wire traces.
SELECT attempt, started_at, ended_at, outcome, detail, frames
FROM results_v1.wire_trace
WHERE test_id = $1
ORDER BY attempt
