-- name: put_status
-- Write how far tests are.
INSERT INTO results.status (test_id, completed, result_summary, test_started_at, test_ended_at, connection_started_at,
    connection_ended_at, completed_at)
SELECT test_id, completed, result_summary, test_started_at, test_ended_at, connection_started_at, connection_ended_at,
    completed_at
FROM unnest($1::bigint[], $2::boolean[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[])
    AS r (test_id, completed, result_summary, test_started_at, test_ended_at, connection_started_at,
        connection_ended_at, completed_at)
ORDER BY test_id
ON CONFLICT (test_id) DO UPDATE
SET completed = excluded.completed, result_summary = excluded.result_summary,
    test_started_at = excluded.test_started_at, test_ended_at = excluded.test_ended_at,
    connection_started_at = excluded.connection_started_at, connection_ended_at = excluded.connection_ended_at,
    completed_at = excluded.completed_at;

-- name: put_status_data
-- Write what was read of completed tests.
INSERT INTO results.status_data (test_id, serial_number, meter_time, status_events, meter_properties,
    profile_configuration, registers, survey)
SELECT test_id, serial_number, meter_time, status_events::jsonb, meter_properties::jsonb,
    profile_configuration::jsonb, registers::jsonb, survey::jsonb
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS r (test_id, serial_number, meter_time, status_events, meter_properties, profile_configuration, registers, survey)
ORDER BY test_id
ON CONFLICT (test_id) DO UPDATE
SET serial_number = excluded.serial_number, meter_time = excluded.meter_time, status_events = excluded.status_events,
    meter_properties = excluded.meter_properties, profile_configuration = excluded.profile_configuration,
    registers = excluded.registers, survey = excluded.survey;

-- name: delete_status
-- Take tests out of the status tables.
WITH data AS (DELETE FROM results.status_data WHERE test_id = ANY($1::bigint[]))
DELETE FROM results.status WHERE test_id = ANY($1::bigint[]);

-- name: delete_status_data
-- Take the data of tests that are not complete out of the status tables.
DELETE FROM results.status_data WHERE test_id = ANY($1::bigint[]);
