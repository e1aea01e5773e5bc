-- The registry: whose meters there are, where, and under which contracts. Its ids come from outside (seed file, import,
-- admin API) or from the sequences here. Nothing in it is a reading; those are the results service's.

ALTER TABLE gateway.token DROP CONSTRAINT token_scopes_check;
ALTER TABLE gateway.token ADD CONSTRAINT token_scopes_check CHECK (
    cardinality(scopes) > 0 AND scopes <@ ARRAY['mts', 'admin', 'warranty:read', 'warranty:write']);

-- A client that has customers and devices. A client that is none is the platform's own, or has no registry.
CREATE TABLE gateway.distributor (
    distributor_id uuid PRIMARY KEY,
    client_id bigint NOT NULL UNIQUE REFERENCES gateway.client,
    user_name text NOT NULL
);

CREATE TABLE gateway.timezone (
    timezone_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- People and programs of the neighbours' APIs. `password` is an argon2 hash. Without a distributor: users of the contract
-- API alone, and administrators, who see all distributors.
CREATE TABLE gateway.api_user (
    user_id uuid PRIMARY KEY,
    user_name text NOT NULL,
    password text NOT NULL CHECK (password LIKE '$argon2id$%'),
    distributor_id uuid REFERENCES gateway.distributor,
    roles text[] NOT NULL CHECK (roles <@ ARRAY['read', 'write', 'warranty:read', 'warranty:write', 'admin'])
);
CREATE UNIQUE INDEX api_user_name ON gateway.api_user (lower(user_name));

CREATE TABLE gateway.customer (
    customer_id uuid PRIMARY KEY,
    distributor_id uuid NOT NULL REFERENCES gateway.distributor,
    account_number text NOT NULL,
    first_name text,
    last_name text,
    email text,
    user_name text,
    mobile text,
    day_time_contact text,
    work_contact text,
    location text,
    timezone_id integer REFERENCES gateway.timezone,
    currency_id uuid,
    metric boolean NOT NULL DEFAULT true,
    UNIQUE (distributor_id, customer_id)
);
CREATE UNIQUE INDEX customer_account ON gateway.customer (distributor_id, lower(account_number));

-- An installed meter. `canonical_address` is what two spellings of one address have in common. `relays` is a list of
-- {controlId, controlType, isSwitchEnabled, status}.
CREATE TABLE gateway.device (
    device_id text PRIMARY KEY CHECK (device_id ~ '^[0-9]{15,16}$'),
    distributor_id uuid NOT NULL REFERENCES gateway.distributor,
    customer_id uuid,
    label text,
    meter_type text,
    remote_address text,
    canonical_address text,
    outstation_address text,
    serial_number text,
    phases smallint NOT NULL DEFAULT 1 CHECK (phases IN (1, 3)),
    registered boolean NOT NULL DEFAULT true,
    timezone_id integer REFERENCES gateway.timezone,
    interval_seconds integer CHECK (interval_seconds > 0),
    channels text[] NOT NULL DEFAULT '{}',
    latitude numeric,
    longitude numeric,
    relays jsonb NOT NULL DEFAULT '[]',
    FOREIGN KEY (distributor_id, customer_id) REFERENCES gateway.customer (distributor_id, customer_id),
    CHECK ((remote_address IS NULL) = (canonical_address IS NULL))
);
CREATE INDEX device_of_distributor ON gateway.device (distributor_id, device_id);
CREATE INDEX device_of_customer ON gateway.device (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX device_address ON gateway.device (canonical_address) WHERE canonical_address IS NOT NULL;

CREATE SEQUENCE gateway.asset_id AS bigint START 100000001;
CREATE SEQUENCE gateway.meter_id AS bigint START 100000001;
CREATE SEQUENCE gateway.contract_id AS bigint START 100000001;
CREATE SEQUENCE gateway.contract_meter_id AS bigint START 100000001;

-- What a warranty contract is about.
CREATE TABLE gateway.asset (
    asset_id bigint PRIMARY KEY DEFAULT nextval('gateway.asset_id'),
    number text NOT NULL UNIQUE,
    distributor_id uuid NOT NULL REFERENCES gateway.distributor
);

-- A counter of an asset: a register of a device, or one that is fed by hand.
CREATE TABLE gateway.asset_meter (
    meter_id bigint PRIMARY KEY DEFAULT nextval('gateway.meter_id'),
    asset_id bigint NOT NULL REFERENCES gateway.asset,
    code text NOT NULL,
    name text NOT NULL,
    description text,
    uom_code text NOT NULL,
    unit_of_measure text NOT NULL,
    device_id text REFERENCES gateway.device,
    register text,
    base_daily_rate numeric CHECK (base_daily_rate >= 0),
    active boolean NOT NULL DEFAULT true,
    UNIQUE (asset_id, code),
    UNIQUE (asset_id, meter_id)
);
CREATE INDEX asset_meter_register ON gateway.asset_meter (device_id, register) WHERE device_id IS NOT NULL;

CREATE TABLE gateway.warranty_contract (
    contract_id bigint PRIMARY KEY DEFAULT nextval('gateway.contract_id'),
    contract_number text NOT NULL UNIQUE,
    asset_id bigint NOT NULL REFERENCES gateway.asset,
    coverage_code text,
    coverage_id bigint,
    status_code text NOT NULL DEFAULT 'ORA_READY' CHECK (status_code IN ('ORA_DRAFT', 'ORA_READY', 'ORA_EXPIRED')),
    start_date date NOT NULL,
    end_date date,
    calculated_expiration_date date,
    notes text,
    external_reference_number text,
    created_by text NOT NULL,
    creation_date timestamptz NOT NULL,
    last_updated_by text NOT NULL,
    last_update_date timestamptz NOT NULL,
    object_version bigint NOT NULL DEFAULT 1 CHECK (object_version >= 1),
    UNIQUE (asset_id, contract_id)
);

-- `asset_id` stands here so that the meter's asset and the contract's are the same.
CREATE TABLE gateway.contract_meter (
    contract_meter_id bigint PRIMARY KEY DEFAULT nextval('gateway.contract_meter_id'),
    contract_id bigint NOT NULL,
    asset_id bigint NOT NULL,
    meter_id bigint NOT NULL,
    start_value numeric NOT NULL DEFAULT 0,
    interval_value numeric CHECK (interval_value >= 0),
    calculated_due_date date,
    active_end_date date,
    created_by text NOT NULL,
    creation_date timestamptz NOT NULL,
    last_updated_by text NOT NULL,
    last_update_date timestamptz NOT NULL,
    object_version bigint NOT NULL DEFAULT 1 CHECK (object_version >= 1),
    UNIQUE (contract_id, meter_id),
    FOREIGN KEY (asset_id, contract_id) REFERENCES gateway.warranty_contract (asset_id, contract_id),
    FOREIGN KEY (asset_id, meter_id) REFERENCES gateway.asset_meter (asset_id, meter_id)
);
CREATE INDEX contract_meter_of_meter ON gateway.contract_meter (meter_id);

-- The cumulative readings that due dates are calculated from: a copy of what results has stored of the registers above.
CREATE TABLE gateway.meter_reading (
    meter_id bigint NOT NULL REFERENCES gateway.asset_meter,
    read_at timestamptz NOT NULL,
    value numeric NOT NULL,
    PRIMARY KEY (meter_id, read_at)
);

-- Which device a test reads, found when it was accepted.
ALTER TABLE gateway.test ADD COLUMN device_id text;

-- carbonTRACK's own tokens; a secret is stored nowhere. A refresh token stays what it is when it is used.
CREATE TABLE gateway.user_token (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    user_id uuid NOT NULL REFERENCES gateway.api_user ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('access', 'refresh')),
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX user_token_age ON gateway.user_token (expires_at);
CREATE INDEX user_token_of_user ON gateway.user_token (user_id);

-- Failed logins of a user name from an address in one minute (whole minutes since 1970).
CREATE UNLOGGED TABLE gateway.login_failure (
    user_name text NOT NULL,
    peer text NOT NULL,
    minute bigint NOT NULL,
    failures integer NOT NULL,
    PRIMARY KEY (user_name, peer)
);

-- The rate window of users that belong to no client, as gateway.rate_window.
CREATE UNLOGGED TABLE gateway.user_rate_window (
    user_id uuid PRIMARY KEY,
    opened bigint NOT NULL,
    calls bigint NOT NULL
) WITH (fillfactor = 50);
