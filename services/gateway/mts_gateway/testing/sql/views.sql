-- Tables in the place of the views that results publishes, so that tests can say what is to be read there.

-- name: create_status
-- Stands in for results_v1.test_status.
CREATE TABLE results_v1.test_status (
    test_id bigint PRIMARY KEY,
    completed boolean NOT NULL,
    result_summary text NOT NULL,
    test_started_at timestamptz,
    test_ended_at timestamptz,
    connection_started_at timestamptz,
    connection_ended_at timestamptz,
    completed_at timestamptz,
    serial_number text,
    meter_time text,
    status_events jsonb,
    meter_properties jsonb,
    profile_configuration jsonb,
    registers jsonb,
    survey jsonb
)

-- name: create_search
-- Stands in for results_v1.test_search.
CREATE TABLE results_v1.test_search (
    test_id bigint PRIMARY KEY,
    client_id bigint NOT NULL,
    batch_id bigint,
    request_reference text,
    meter_type text NOT NULL,
    remote_address text NOT NULL,
    received_at timestamptz NOT NULL,
    completed_at timestamptz,
    result_summary text NOT NULL
)

-- name: create_trace
-- Stands in for results_v1.wire_trace.
CREATE TABLE results_v1.wire_trace (
    test_id bigint NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    frames bytea
)

-- name: create_measurement
-- Stands in for results_v1.measurement.
CREATE TABLE results_v1.measurement (
    device_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    channel text NOT NULL,
    value numeric NOT NULL,
    status text[],
    PRIMARY KEY (device_id, starts_at, channel)
)

-- name: create_period_count
-- Stands in for results_v1.period_count.
CREATE VIEW results_v1.period_count AS
SELECT device_id, date_trunc('day', starts_at, 'UTC') AS day, count(DISTINCT starts_at)::integer AS periods
FROM results_v1.measurement
GROUP BY device_id, day

-- name: create_register_reading
-- Stands in for results_v1.register_reading.
CREATE TABLE results_v1.register_reading (
    device_id text NOT NULL,
    register text NOT NULL,
    read_at timestamptz NOT NULL,
    value numeric NOT NULL,
    PRIMARY KEY (device_id, register, read_at)
)

-- name: create_device_fact
-- Stands in for results_v1.device_fact.
CREATE TABLE results_v1.device_fact (
    device_id text PRIMARY KEY,
    firmware text,
    last_test_end timestamptz,
    signal_strength text,
    newest_reading_at timestamptz
)

-- name: grant_schema
-- As the migrations of results do.
GRANT USAGE ON SCHEMA results_v1 TO mts_gateway

-- name: grant_views
-- As the migrations of results do.
GRANT SELECT ON ALL TABLES IN SCHEMA results_v1 TO mts_gateway

-- name: publish_search
-- What results does on test.requested: every accepted test can be found.
INSERT INTO results_v1.test_search
SELECT test_id, client_id, batch_id, request_reference, meter_type, remote_address, received_at, NULL, 'PENDING'
FROM gateway.test
WHERE client_id = $1
ON CONFLICT DO NOTHING
