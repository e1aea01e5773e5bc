-- name: put_search
-- Write how tests are found.
INSERT INTO results.search (test_id, client_id, batch_id, request_reference, meter_type, remote_address, received_at,
    completed_at, result_summary)
SELECT test_id, client_id, batch_id, request_reference, meter_type, remote_address, received_at, completed_at,
    result_summary
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::text[])
    AS r (test_id, client_id, batch_id, request_reference, meter_type, remote_address, received_at, completed_at,
        result_summary)
ORDER BY test_id
ON CONFLICT (test_id) DO UPDATE
SET client_id = excluded.client_id, batch_id = excluded.batch_id, request_reference = excluded.request_reference,
    meter_type = excluded.meter_type, remote_address = excluded.remote_address, received_at = excluded.received_at,
    completed_at = excluded.completed_at, result_summary = excluded.result_summary;

-- name: delete_search
-- Take tests out of the search table.
DELETE FROM results.search WHERE test_id = ANY($1::bigint[]);
