-- The readings of devices are told to the gateway, in the transaction that stores them.

CREATE TABLE results.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    item text NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON results.outbox (not_before, id);

-- When the test ended that brought the reading: of two that differ, the one brought later stands.
ALTER TABLE results.register_reading ADD COLUMN brought_at timestamptz NOT NULL DEFAULT '-infinity';
