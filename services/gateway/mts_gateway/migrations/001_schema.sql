-- Clients and their tokens. A token's secret is stored nowhere; `digest` is its SHA-256.
CREATE TABLE gateway.client (
    client_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    run_windows jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE gateway.token (
    token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES gateway.client,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['mts', 'admin']),
    dialect text NOT NULL CHECK (dialect IN ('grouped', 'flat')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    deleted_at timestamptz
);

-- One row per client: the window last counted in (whole windows since 1970) and the calls in it. Unlogged, so that
-- counting a call waits for no disk; after a crash of the server the window starts anew.
CREATE UNLOGGED TABLE gateway.rate_window (
    client_id bigint PRIMARY KEY,
    opened bigint NOT NULL,
    calls bigint NOT NULL
) WITH (fillfactor = 50);

-- Ids rise with time: results partitions its tables by them, and they give the received order.
CREATE SEQUENCE gateway.test_id AS bigint;
CREATE SEQUENCE gateway.batch_id AS bigint;

CREATE TABLE gateway.batch (
    batch_id bigint PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES gateway.client,
    received_at timestamptz NOT NULL
);

-- An accepted test as it was asked for. `password` is a sealed token. `survey_date` is what the client gave, `survey_from`
-- the day the survey starts. A removed test keeps its row, so that its status can say why it is gone.
CREATE TABLE gateway.test (
    test_id bigint PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES gateway.client,
    batch_id bigint REFERENCES gateway.batch,
    request_reference text,
    immediate boolean NOT NULL,
    meter_type text NOT NULL,
    remote_address text NOT NULL,
    canonical_address text NOT NULL,
    transport text NOT NULL CHECK (transport IN ('modem', 'tcp')),
    coms_settings text,
    outstation_address text,
    serial_number text,
    password text,
    survey_days integer NOT NULL CHECK (survey_days >= 0),
    survey_date date,
    survey_from date CHECK ((survey_from IS NULL) = (survey_days = 0)),
    run_windows jsonb,
    traceparent text,
    received_at timestamptz NOT NULL,
    settle_at timestamptz NOT NULL,
    scheduler_knows boolean NOT NULL DEFAULT false,
    results_knows boolean NOT NULL DEFAULT false,
    removed_at timestamptz,
    removed_why text CHECK (removed_why IN ('cancelled', 'deleted')),
    CHECK ((removed_at IS NULL) = (removed_why IS NULL))
);
CREATE INDEX test_of_batch ON gateway.test (batch_id, test_id) WHERE batch_id IS NOT NULL;
CREATE INDEX test_unsettled ON gateway.test (settle_at)
    WHERE removed_at IS NULL AND NOT (scheduler_knows AND results_knows);
CREATE INDEX test_age ON gateway.test USING brin (received_at);
CREATE INDEX test_removed ON gateway.test (client_id, test_id) WHERE removed_at IS NOT NULL;

-- The answer that an Idempotency-Key was first given: the id of the test or of the batch.
CREATE TABLE gateway.idempotency (
    client_id bigint NOT NULL REFERENCES gateway.client,
    key text NOT NULL,
    digest bytea NOT NULL,
    test_id bigint,
    batch_id bigint,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, key),
    CHECK (num_nonnulls(test_id, batch_id) = 1)
);
CREATE INDEX idempotency_age ON gateway.idempotency (created_at);

CREATE TABLE gateway.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    item text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON gateway.outbox (not_before, id);
