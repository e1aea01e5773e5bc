-- Jobs, the lines and lanes they wait in, and the calls they are granted to.

CREATE TYPE scheduler.job_state AS ENUM ('held', 'called', 'done', 'cancelled');
CREATE TYPE scheduler.lane_kind AS ENUM ('immediate', 'overnight');
CREATE TYPE scheduler.call_ending AS ENUM ('finished', 'released', 'lost');

-- One per test. A cancelled test that was never requested here has nothing but its id: a tombstone.
CREATE TABLE scheduler.job (
    test_id bigint PRIMARY KEY,
    state scheduler.job_state NOT NULL,
    client_id bigint,
    kind scheduler.lane_kind,
    transport text CHECK (transport IN ('modem', 'tcp')),
    canonical_address text,
    coms_settings text,                          -- '' = the meter type's own
    terms jsonb,                                 -- TestTerms, the password sealed; gone once the outcome is settled
    traceparent text,
    received_at timestamptz,
    ready_at timestamptz,                        -- not granted before
    attempt integer NOT NULL DEFAULT 0,          -- the fencing number: the newest grant
    tries integer NOT NULL DEFAULT 0,
    counted integer NOT NULL DEFAULT 0,          -- the newest attempt that `tries` includes
    costless integer NOT NULL DEFAULT 0,         -- ends that cost no try
    reported integer,                            -- the newest attempt whose report is known to exist
    recalls integer NOT NULL DEFAULT 0,          -- how often results lacked the report of the last attempt
    sections jsonb NOT NULL DEFAULT '{}',        -- best state of each section over the attempts
    alone boolean NOT NULL DEFAULT false,        -- its last call was lost: it shares none until it has reported
    call_id uuid,                                -- of the newest attempt
    outcome text CHECK (outcome IN ('success', 'partial', 'error')),
    failure text,
    detail text,
    ended_at timestamptz,                        -- done or cancelled
    deleted boolean NOT NULL DEFAULT false,      -- cancelled when it was done
    settle_at timestamptz,                       -- when to ask results about the end; NULL = settled
    CONSTRAINT job_known CHECK (state = 'cancelled' OR (
        client_id, kind, transport, canonical_address, coms_settings, received_at, ready_at) IS NOT NULL),
    CONSTRAINT job_has_terms CHECK (state NOT IN ('held', 'called') OR terms IS NOT NULL),
    CONSTRAINT job_in_call CHECK (state <> 'called' OR (call_id IS NOT NULL AND attempt > 0)),
    CONSTRAINT job_outcome CHECK ((state = 'done') <= (outcome IS NOT NULL AND detail IS NOT NULL)),
    CONSTRAINT job_ended CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)),
    CONSTRAINT job_unsettled CHECK (settle_at IS NULL OR state IN ('done', 'cancelled')),
    CONSTRAINT job_numbers CHECK (counted <= attempt AND coalesce(reported, 0) <= attempt AND tries >= 0)
);

CREATE INDEX job_waiting ON scheduler.job (client_id, kind, canonical_address, coms_settings, ready_at, test_id)
    WHERE state = 'held';
CREATE INDEX job_in_call ON scheduler.job (call_id) WHERE state = 'called';
CREATE INDEX job_settle ON scheduler.job (settle_at) WHERE settle_at IS NOT NULL;
CREATE INDEX job_ended ON scheduler.job (ended_at) WHERE state IN ('done', 'cancelled');

CREATE FUNCTION scheduler.refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'test %: a job that is % does not become %', OLD.test_id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation';
END
$$;

-- The table of lifecycle.py.
CREATE TRIGGER job_transition BEFORE UPDATE OF state ON scheduler.job FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('held', 'called'), ('called', 'held'), ('called', 'done'), ('held', 'done'), ('held', 'cancelled'),
        ('done', 'held'), ('done', 'cancelled')))
    EXECUTE FUNCTION scheduler.refuse_transition();

-- Where jobs wait: those of a lane for one address and line settings. It exists while it has held jobs (a hint that
-- may outlive them), and `ready_at` is never later than any of theirs. A claim looks at lines, so that ten thousand
-- jobs for a busy address cost it no more than one.
CREATE TABLE scheduler.line (
    client_id bigint NOT NULL,
    kind scheduler.lane_kind NOT NULL,
    canonical_address text NOT NULL,
    coms_settings text NOT NULL,
    transport text NOT NULL,
    ready_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, kind, canonical_address, coms_settings)
);

CREATE INDEX line_ready ON scheduler.line (client_id, kind, transport, ready_at);

CREATE FUNCTION scheduler.queue_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO scheduler.line AS line (client_id, kind, canonical_address, coms_settings, transport, ready_at)
    SELECT client_id, kind, canonical_address, coms_settings, min(transport), min(ready_at)
    FROM changed
    WHERE state = 'held'
    GROUP BY client_id, kind, canonical_address, coms_settings
    ORDER BY client_id, kind, canonical_address, coms_settings
    ON CONFLICT (client_id, kind, canonical_address, coms_settings)
        DO UPDATE SET ready_at = least(line.ready_at, excluded.ready_at);
    RETURN NULL;
END
$$;

CREATE TRIGGER job_queue_new AFTER INSERT ON scheduler.job
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION scheduler.queue_held();
CREATE TRIGGER job_queue_again AFTER UPDATE ON scheduler.job
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION scheduler.queue_held();

-- What of a client's tests is due at once, and what in run windows: served least recently granted first.
CREATE TABLE scheduler.lane (
    client_id bigint NOT NULL,
    kind scheduler.lane_kind NOT NULL,
    windows jsonb NOT NULL DEFAULT '[]',         -- [] = the windows of the settings
    windows_from bigint NOT NULL,                -- the newest test that said which
    granted_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (client_id, kind),
    CONSTRAINT lane_windows CHECK (kind = 'overnight' OR windows = '[]')
);

-- One per call that was ever granted and is not forgotten yet; the unique index is what keeps an address to one call.
CREATE TABLE scheduler.call (
    call_id uuid PRIMARY KEY,
    dialler text NOT NULL,
    nonce uuid NOT NULL,
    client_id bigint NOT NULL,
    kind scheduler.lane_kind NOT NULL,
    canonical_address text NOT NULL,
    coms_settings text NOT NULL,
    remote_address text NOT NULL,
    transport text NOT NULL,
    not_after timestamptz,
    started_at timestamptz NOT NULL,
    missing_since timestamptz,                   -- first of the dialler's signs of life that did not name it
    ended_at timestamptz,
    ending scheduler.call_ending,
    CONSTRAINT call_window CHECK ((kind = 'overnight') = (not_after IS NOT NULL)),
    CONSTRAINT call_ended CHECK ((ended_at IS NULL) = (ending IS NULL))
);

-- The only index of running calls: while the table is small, a planner with the choice takes the wrong one.
CREATE UNIQUE INDEX call_on_address ON scheduler.call (canonical_address) WHERE ended_at IS NULL;
CREATE INDEX call_nonce ON scheduler.call (nonce);
CREATE INDEX call_ended_at ON scheduler.call (ended_at) WHERE ended_at IS NOT NULL;

-- Who has a lease. A call whose dialler is not here, or too late, is lost.
CREATE TABLE scheduler.dialler (
    name text NOT NULL,
    transport text NOT NULL,
    lines integer NOT NULL,
    lease_until timestamptz NOT NULL,
    PRIMARY KEY (name, transport)
);

-- Addresses on which a meter may still believe itself in a call.
CREATE TABLE scheduler.quarantine (
    canonical_address text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE TABLE scheduler.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    item text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON scheduler.outbox (not_before, id);
