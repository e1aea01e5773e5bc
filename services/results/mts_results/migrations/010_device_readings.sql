-- What is known of the registry's devices: their readings, whichever test read them, and what the newest test told.
--
-- The readings are cut by month (UTC) and outlive the tests that read them. Children are named PARENT_YYYY_MM.

-- A survey reading; `starts_at` is the start of its period. Where surveys overlap, the one read later stands.
CREATE TABLE results.measurement (
    device_id text NOT NULL,
    starts_at timestamptz NOT NULL,
    channel text NOT NULL,
    value numeric NOT NULL,
    status text[],
    read_at timestamptz NOT NULL,
    PRIMARY KEY (device_id, starts_at, channel)
) PARTITION BY RANGE (starts_at);

-- A cumulative reading: of an energy register, or of a survey channel that holds cumulative values.
CREATE TABLE results.register_reading (
    device_id text NOT NULL,
    register text NOT NULL,
    read_at timestamptz NOT NULL,
    value numeric NOT NULL,
    PRIMARY KEY (device_id, register, read_at)
) PARTITION BY RANGE (read_at);

-- What is known of a device by itself, each from the newest test that told it. Its row is locked, in the order of ids,
-- by whoever stores readings of the device.
CREATE TABLE results.device_fact (
    device_id text PRIMARY KEY,
    last_test_end timestamptz,
    firmware text,
    firmware_at timestamptz,
    signal_strength text,
    signal_strength_at timestamptz,
    newest_reading_at timestamptz
);

-- Readings before this moment are not kept, whoever brings them.
CREATE TABLE results.reading_floor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    kept_from timestamptz NOT NULL
);
INSERT INTO results.reading_floor (kept_from) VALUES ('-infinity');

-- The tables that are cut by ranges of tests.
CREATE FUNCTION results.cut_by_test() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT c.relname::text
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE c.relnamespace = 'results'::regnamespace AND a.attname = 'test_id'
    ORDER BY c.relname
$$;

CREATE OR REPLACE FUNCTION results.fill_partition(first bigint, upto bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
BEGIN
    FOR parent IN SELECT results.cut_by_test() LOOP
        child := parent || '_' || first;
        IF to_regclass(format('results.%I', child)) IS NULL THEN
            EXECUTE format('CREATE TABLE results.%I (LIKE results.%I INCLUDING ALL)', child, parent);
            EXECUTE format('ALTER TABLE results.%I ATTACH PARTITION results.%I FOR VALUES FROM (%s) TO (%s)',
                parent, child, first, upto);
        END IF;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION results.drop_partition(first_id bigint) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('results.partition'));
    LOCK TABLE results.test IN ACCESS EXCLUSIVE MODE;
    FOR parent IN SELECT results.cut_by_test() LOOP
        EXECUTE format('DROP TABLE IF EXISTS results.%I', parent || '_' || first_id);
    END LOOP;
    UPDATE results.partition SET dropped_at = now() WHERE first = first_id AND dropped_at IS NULL;
END
$$;

-- The partitions of `parent` for the months (UTC) of `moments`, made where there are none. One maker at a time; who waited
-- finds what the other made. Attaching locks out neither readers nor writers.
CREATE FUNCTION results.ensure_months(parent text, moments timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    child text;
BEGIN
    FOR month IN SELECT DISTINCT date_trunc('month', moment, 'UTC') FROM unnest(moments) AS moment ORDER BY 1 LOOP
        child := parent || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
        IF to_regclass(format('results.%I', child)) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('results.month'));
            IF to_regclass(format('results.%I', child)) IS NULL THEN
                EXECUTE format('CREATE TABLE results.%I (LIKE results.%I INCLUDING ALL)', child, parent);
                EXECUTE format('ALTER TABLE results.%I ATTACH PARTITION results.%I FOR VALUES FROM (%L) TO (%L)',
                    parent, child, month, (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
            END IF;
        END IF;
    END LOOP;
END
$$;

-- The months that have partitions and end at or before a moment, as names of tables.
CREATE FUNCTION results.months_before(moment timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    SELECT c.relname::text
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN ('results.measurement'::regclass, 'results.register_reading'::regclass)
        AND right(c.relname, 7) < to_char(moment AT TIME ZONE 'UTC', 'YYYY_MM')
    ORDER BY right(c.relname, 7), c.relname
$$;

-- Drop one month of readings. As with ranges of tests, where that would have to wait nothing is dropped.
CREATE FUNCTION results.drop_month(child text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS results.%I', child);
END
$$;

CREATE VIEW results_v1.measurement AS
SELECT device_id, starts_at, channel, value, status
FROM results.measurement;

CREATE VIEW results_v1.register_reading AS
SELECT device_id, register, read_at, value
FROM results.register_reading;

CREATE VIEW results_v1.device_fact AS
SELECT device_id, firmware, last_test_end, signal_strength, newest_reading_at
FROM results.device_fact;

GRANT SELECT ON results_v1.measurement, results_v1.register_reading, results_v1.device_fact TO mts_gateway;
