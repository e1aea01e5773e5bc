-- The outbox of a service: `{schema}` is replaced by the schema that holds it.

-- name: put
-- Say what is to be told, in the caller's transaction.
INSERT INTO {schema}.outbox (kind, item)
SELECT kind, item
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS told (kind, item, place)
ORDER BY place

-- name: claim
-- The oldest rows that are due and that no other relay holds.
SELECT id, kind, item, tries
FROM {schema}.outbox
WHERE not_before <= now()
ORDER BY id
LIMIT $1
FOR UPDATE SKIP LOCKED

-- name: told
-- What the broker has confirmed.
DELETE FROM {schema}.outbox
WHERE id = ANY($1::bigint[])

-- name: put_off
-- What the broker refused: each row later, and then alone.
UPDATE {schema}.outbox
SET tries = tries + 1,
    not_before = now() + make_interval(secs => least(60, 0.5 * 2 ^ least(tries, 7)))
WHERE id = ANY($1::bigint[])

-- name: backlog
-- How many rows wait, counted up to $1, and how many seconds the oldest has waited.
SELECT
    (SELECT count(*) FROM (SELECT FROM {schema}.outbox LIMIT $1) AS counted) AS size,
    coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age
FROM {schema}.outbox
