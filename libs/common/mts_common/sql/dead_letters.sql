-- The dead letters of a service: `{schema}` is replaced by the schema that holds them.

-- name: bury
-- Keep dead letters; one that lies here already has died again.
INSERT INTO {schema}.dead_letter AS letter (queue, kind, reason, body, encoding, digest)
SELECT queue, kind, reason, body, encoding, sha256(body)
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[]) AS dead (queue, kind, reason, body, encoding)
ORDER BY queue, kind, sha256(body)
ON CONFLICT (queue, kind, digest) DO UPDATE SET reason = excluded.reason, died_at = excluded.died_at

-- name: dead_letters
-- Dead letters of a queue ($1) and among some ids ($2), NULL = any, without their bodies; $3 rows after $4.
SELECT dead_letter_id, queue, kind, reason, octet_length(body) AS size, died_at
FROM {schema}.dead_letter
WHERE ($1::text IS NULL OR queue = $1) AND ($2::bigint[] IS NULL OR dead_letter_id = ANY ($2))
ORDER BY dead_letter_id
LIMIT $3
OFFSET $4

-- name: count_dead_letters
-- How many there are.
SELECT count(*)
FROM {schema}.dead_letter
WHERE ($1::text IS NULL OR queue = $1) AND ($2::bigint[] IS NULL OR dead_letter_id = ANY ($2))

-- name: dead_letter
-- One, whole.
SELECT queue, kind, body, encoding, died_at
FROM {schema}.dead_letter
WHERE dead_letter_id = $1

-- name: raised
-- Remove one that is in its queue again, unless it has died again since it was looked at.
DELETE FROM {schema}.dead_letter
WHERE dead_letter_id = $1 AND died_at = $2

-- name: forget_dead_letters
-- Remove those that nobody has looked after for so many days.
DELETE FROM {schema}.dead_letter
WHERE died_at < now() - make_interval(days => $1)

-- name: dead_letter_levels
-- How many there are of each of these queues.
SELECT queue, count(letter.queue) AS kept
FROM unnest($1::text[]) AS queue
LEFT JOIN {schema}.dead_letter AS letter USING (queue)
GROUP BY queue
