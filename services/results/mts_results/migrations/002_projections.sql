-- What clients read, made from what is stored; `python -m mts_results rebuild` makes it again.

-- Projection status: how far each test is.
CREATE TABLE results.status (
    test_id bigint PRIMARY KEY,
    completed boolean NOT NULL,
    result_summary text NOT NULL,
    test_started_at timestamptz,
    test_ended_at timestamptz,
    connection_started_at timestamptz,
    connection_ended_at timestamptz,
    completed_at timestamptz
) PARTITION BY RANGE (test_id);

-- Projection status: what was read. Apart, because times change more often than data.
CREATE TABLE results.status_data (
    test_id bigint PRIMARY KEY,
    serial_number text,
    meter_time text,
    status_events jsonb,
    meter_properties jsonb,
    profile_configuration jsonb,
    registers jsonb,
    survey jsonb
) PARTITION BY RANGE (test_id);

-- Projection search.
CREATE TABLE results.search (
    test_id bigint PRIMARY KEY,
    client_id bigint NOT NULL,
    batch_id bigint,
    request_reference text,
    meter_type text NOT NULL,
    remote_address text NOT NULL,
    received_at timestamptz NOT NULL,
    completed_at timestamptz,
    result_summary text NOT NULL
) PARTITION BY RANGE (test_id);
CREATE INDEX search_received ON results.search (client_id, received_at);

-- The published views: only ever added to. They read with their owner's rights, so their readers need no table.
CREATE VIEW results_v1.test_status AS
SELECT test_id, s.completed, s.result_summary, s.test_started_at, s.test_ended_at, s.connection_started_at,
    s.connection_ended_at, s.completed_at, d.serial_number, d.meter_time, d.status_events, d.meter_properties,
    d.profile_configuration, d.registers, d.survey
FROM results.status s
LEFT JOIN results.status_data d USING (test_id);

CREATE VIEW results_v1.test_search AS
SELECT test_id, client_id, batch_id, request_reference, meter_type, remote_address, received_at, completed_at,
    result_summary
FROM results.search;

CREATE VIEW results_v1.wire_trace AS
SELECT test_id, attempt, a.started_at, a.ended_at, a.outcome, a.detail, t.frames
FROM results.attempt a
JOIN results.trace t USING (test_id, attempt);

GRANT USAGE ON SCHEMA results_v1 TO mts_gateway;
GRANT SELECT ON results_v1.test_status, results_v1.test_search, results_v1.wire_trace TO mts_gateway;
