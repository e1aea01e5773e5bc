-- What no consumer of this service could handle (mts_common.dead_letters).
CREATE TABLE gateway.dead_letter (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    encoding text,
    digest bytea NOT NULL,
    died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (queue, kind, digest)
);
ALTER TABLE gateway.dead_letter ALTER COLUMN body SET STORAGE EXTERNAL;
