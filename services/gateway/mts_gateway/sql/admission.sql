-- Who may call, and how often. Several calls are admitted at once.

-- name: admit
-- For each token digest ($1) with the scope it needs ($2): its client, and the call's number in the window of $3 seconds.
-- A call that waited for its turn while the next window opened counts in that one. A window further ahead was counted in
-- another length, before the setting changed.
WITH asked AS (
    SELECT place, digest, scope
    FROM unnest($1::bytea[], $2::text[]) WITH ORDINALITY AS asked (digest, scope, place)
), caller AS (
    SELECT asked.place, token.client_id, token.dialect, asked.scope = ANY (token.scopes) AS allowed
    FROM asked
    JOIN gateway.token USING (digest)
    WHERE token.deleted_at IS NULL AND token.expires_at > now()
), counted AS (
    INSERT INTO gateway.rate_window AS open (client_id, opened, calls)
    SELECT client_id, floor(extract(epoch FROM now()) / $3::integer), count(*)
    FROM caller
    WHERE allowed
    GROUP BY client_id
    ORDER BY client_id
    ON CONFLICT (client_id) DO UPDATE SET
        opened = CASE WHEN open.opened = excluded.opened + 1 THEN open.opened ELSE excluded.opened END,
        calls = excluded.calls
            + CASE WHEN open.opened IN (excluded.opened, excluded.opened + 1) THEN open.calls ELSE 0 END
    RETURNING client_id, opened, calls
)
SELECT
    caller.place,
    caller.client_id,
    caller.dialect,
    client.run_windows,
    caller.allowed,
    counted.calls - count(*) OVER same_client
        + row_number() OVER (PARTITION BY caller.client_id, caller.allowed ORDER BY caller.place) AS call_number,
    ceil((counted.opened + 1) * $3::integer - extract(epoch FROM clock_timestamp()))::integer AS seconds_left
FROM caller
JOIN gateway.client USING (client_id)
LEFT JOIN counted USING (client_id)
WINDOW same_client AS (PARTITION BY caller.client_id, caller.allowed)

-- name: create_client
-- A new client.
INSERT INTO gateway.client (name, run_windows)
VALUES ($1, $2::jsonb)
RETURNING client_id, name, run_windows, created_at

-- name: list_clients
-- Every client.
SELECT client_id, name, run_windows, created_at
FROM gateway.client
ORDER BY client_id

-- name: create_token
-- A new token of a client that exists; no row if it does not.
INSERT INTO gateway.token (client_id, digest, scopes, dialect, expires_at)
SELECT client_id, $2::bytea, $3::text[], $4::text, now() + make_interval(days => $5::integer)
FROM gateway.client
WHERE client_id = $1
RETURNING token_id, client_id, scopes, dialect, created_at, expires_at

-- name: list_tokens
-- Every token that has not been deleted, without anything that would open a door.
SELECT token_id, client_id, scopes, dialect, created_at, expires_at
FROM gateway.token
WHERE deleted_at IS NULL
ORDER BY token_id

-- name: delete_token
-- From its commit on the token opens nothing.
UPDATE gateway.token
SET deleted_at = now()
WHERE token_id = $1 AND deleted_at IS NULL
RETURNING token_id
