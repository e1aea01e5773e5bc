-- The users of the neighbours' APIs: their passwords, their failed logins, their calls.

-- name: find_user
-- A user by name, with the client that its distributor is.
SELECT u.user_id, u.user_name, u.password, u.distributor_id, u.roles, d.client_id
FROM gateway.api_user u
LEFT JOIN gateway.distributor d USING (distributor_id)
WHERE lower(u.user_name) = lower($1)

-- name: failed_logins
-- How often this user name failed from this address in this minute, and how long the minute lasts.
SELECT coalesce((
    SELECT failures
    FROM gateway.login_failure
    WHERE user_name = lower($1) AND peer = $2 AND minute = floor(extract(epoch FROM now()) / 60)
), 0) AS failures, ceil(60 - extract(epoch FROM now()) % 60)::integer AS seconds_left

-- name: note_failed_login
-- One more failure in this minute.
INSERT INTO gateway.login_failure AS known (user_name, peer, minute, failures)
VALUES (lower($1), $2, floor(extract(epoch FROM now()) / 60), 1)
ON CONFLICT (user_name, peer) DO UPDATE SET
    failures = CASE WHEN known.minute = excluded.minute THEN known.failures ELSE 0 END + 1,
    minute = excluded.minute

-- name: forget_failed_logins
-- Failures of past minutes count no more.
DELETE FROM gateway.login_failure
WHERE (user_name, peer) IN (
    SELECT user_name, peer FROM gateway.login_failure
    WHERE minute < floor(extract(epoch FROM now()) / 60)
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)

-- name: forget_user_tokens
-- Tokens of users that have expired open nothing any more.
DELETE FROM gateway.user_token
WHERE digest IN (
    SELECT digest FROM gateway.user_token
    WHERE expires_at <= now()
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)

-- name: count_client_call
-- One more call of a client in its window of $2 seconds, which it shares with the MTS API.
INSERT INTO gateway.rate_window AS open (client_id, opened, calls)
VALUES ($1, floor(extract(epoch FROM now()) / $2::integer), 1)
ON CONFLICT (client_id) DO UPDATE SET
    opened = CASE WHEN open.opened = excluded.opened + 1 THEN open.opened ELSE excluded.opened END,
    calls = 1 + CASE WHEN open.opened IN (excluded.opened, excluded.opened + 1) THEN open.calls ELSE 0 END
RETURNING calls, ceil((opened + 1) * $2::integer - extract(epoch FROM clock_timestamp()))::integer AS seconds_left

-- name: count_user_call
-- The same for a user that belongs to no client.
INSERT INTO gateway.user_rate_window AS open (user_id, opened, calls)
VALUES ($1, floor(extract(epoch FROM now()) / $2::integer), 1)
ON CONFLICT (user_id) DO UPDATE SET
    opened = CASE WHEN open.opened = excluded.opened + 1 THEN open.opened ELSE excluded.opened END,
    calls = 1 + CASE WHEN open.opened IN (excluded.opened, excluded.opened + 1) THEN open.calls ELSE 0 END
RETURNING calls, ceil((opened + 1) * $2::integer - extract(epoch FROM clock_timestamp()))::integer AS seconds_left
