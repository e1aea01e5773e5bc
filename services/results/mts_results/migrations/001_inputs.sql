-- What results is told, kept as it came, and the partitions that hold it.
--
-- Every partitioned table of this schema is cut by test_id at the same ids, so that a range of tests comes and goes as
-- one. Ids rise with time. Children are named PARENT_FIRST.

-- A range of tests, [first, upto). A dropped one keeps its row: what arrives for it is counted in `late`, not stored.
CREATE TABLE results.partition (
    first bigint PRIMARY KEY,
    upto bigint NOT NULL CHECK (upto > first),
    made_at timestamptz NOT NULL DEFAULT now(),
    dropped_at timestamptz,
    late bigint NOT NULL DEFAULT 0
);

-- Every test that anything was heard of. Its row is locked, in the order of ids, by whoever stores anything of it.
-- A cancelled test keeps this row and nothing else.
CREATE TABLE results.test (
    test_id bigint PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    cancelled_at timestamptz
) PARTITION BY RANGE (test_id);

-- test.requested, without the meter's password.
CREATE TABLE results.request (
    test_id bigint PRIMARY KEY,
    item jsonb NOT NULL
) PARTITION BY RANGE (test_id);

-- attempt.report, without its wire trace.
CREATE TABLE results.attempt (
    test_id bigint NOT NULL,
    attempt integer NOT NULL,
    call_id uuid NOT NULL,
    outcome text NOT NULL,
    failure text,
    detail text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    connection_started_at timestamptz,
    connection_ended_at timestamptz,
    sections jsonb NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (test_id, attempt)
) PARTITION BY RANGE (test_id);

-- The wire traces of the reports, which are compressed already.
CREATE TABLE results.trace (
    test_id bigint NOT NULL,
    attempt integer NOT NULL,
    frames bytea NOT NULL,
    PRIMARY KEY (test_id, attempt)
) PARTITION BY RANGE (test_id);
ALTER TABLE results.trace ALTER COLUMN frames SET STORAGE EXTERNAL;

-- call.finished, for each of the call's attempts.
CREATE TABLE results.line (
    test_id bigint NOT NULL,
    attempt integer NOT NULL,
    connected_at timestamptz,
    disconnected_at timestamptz,
    PRIMARY KEY (test_id, attempt)
) PARTITION BY RANGE (test_id);

-- test.finished.
CREATE TABLE results.outcome (
    test_id bigint PRIMARY KEY,
    attempt integer,
    outcome text NOT NULL,
    failure text,
    detail text NOT NULL,
    finished_at timestamptz NOT NULL
) PARTITION BY RANGE (test_id);

-- attempt.report-part, until all parts are there or they are too old.
CREATE TABLE results.report_part (
    test_id bigint NOT NULL,
    attempt integer NOT NULL,
    part integer NOT NULL,
    parts integer NOT NULL,
    body bytea NOT NULL,
    arrived_at timestamptz NOT NULL,
    PRIMARY KEY (test_id, attempt, part)
);
CREATE INDEX report_part_arrived ON results.report_part (arrived_at);
ALTER TABLE results.report_part ALTER COLUMN body SET STORAGE EXTERNAL;

-- The children that [first, upto) still lacks. A table is attached when it is complete, which locks out neither readers
-- nor writers of its parent; CREATE TABLE ... PARTITION OF would.
CREATE FUNCTION results.fill_partition(first bigint, upto bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
BEGIN
    FOR parent IN
        SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'results'::regnamespace ORDER BY relname
    LOOP
        child := parent || '_' || first;
        IF to_regclass(format('results.%I', child)) IS NULL THEN
            EXECUTE format('CREATE TABLE results.%I (LIKE results.%I INCLUDING ALL)', child, parent);
            EXECUTE format('ALTER TABLE results.%I ATTACH PARTITION results.%I FOR VALUES FROM (%s) TO (%s)',
                parent, child, first, upto);
        END IF;
    END LOOP;
END
$$;

-- The partition that covers `wanted`, made if there is none: `width` ids wide, cut where it would overlap another.
-- One maker at a time; who waited finds what the other made.
CREATE FUNCTION results.ensure_partition(wanted bigint, width bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    aligned bigint := wanted - wanted % width;
    first_id bigint;
    upto_id bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('results.partition'));
    IF EXISTS (SELECT FROM results.partition p WHERE p.first <= wanted AND wanted < p.upto) THEN
        RETURN;
    END IF;
    SELECT greatest(aligned, max(p.upto)) INTO first_id FROM results.partition p WHERE p.upto <= wanted;
    SELECT least(aligned + width, min(p.first)) INTO upto_id FROM results.partition p WHERE p.first > wanted;
    PERFORM results.fill_partition(first_id, upto_id);
    INSERT INTO results.partition (first, upto) VALUES (first_id, upto_id);
END
$$;

-- Drop the tables of the partition that begins at `first_id`. Taking them away locks their parents for a moment; where
-- that would have to wait, nothing is dropped, so that no reader waits behind it (the limit is under deadlock_timeout).
CREATE FUNCTION results.drop_partition(first_id bigint) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('results.partition'));
    LOCK TABLE results.test IN ACCESS EXCLUSIVE MODE;
    FOR parent IN
        SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'results'::regnamespace ORDER BY relname
    LOOP
        EXECUTE format('DROP TABLE IF EXISTS results.%I', parent || '_' || first_id);
    END LOOP;
    UPDATE results.partition SET dropped_at = now() WHERE first = first_id AND dropped_at IS NULL;
END
$$;

-- Whether a test is too old to be kept.
CREATE FUNCTION results.is_dropped(id bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM results.partition p WHERE p.first <= id AND id < p.upto AND p.dropped_at IS NOT NULL)
$$;
