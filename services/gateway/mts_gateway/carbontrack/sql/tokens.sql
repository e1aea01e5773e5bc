-- Who is calling: carbonTRACK's tokens, and what their users may see.

-- name: issue_tokens
-- An access token of digest $2 for $4 seconds and, if there is a digest $3, a refresh token for $5; when they were issued.
WITH issued AS (
    INSERT INTO gateway.user_token (digest, user_id, kind, expires_at)
    SELECT digest, $1::uuid, kind, now() + make_interval(secs => seconds)
    FROM (VALUES ($2::bytea, 'access', $4::float8), ($3::bytea, 'refresh', $5::float8)) AS new (digest, kind, seconds)
    WHERE digest IS NOT NULL
    RETURNING issued_at
)
SELECT DISTINCT floor(extract(epoch FROM issued_at))::bigint AS issued_at FROM issued

-- name: find_token
-- The user of a token of kind $2 that has not expired.
SELECT u.user_id, u.user_name, u.distributor_id, u.roles, d.client_id
FROM gateway.user_token t
JOIN gateway.api_user u USING (user_id)
LEFT JOIN gateway.distributor d USING (distributor_id)
WHERE t.digest = $1 AND t.kind = $2 AND t.expires_at > now()

-- name: visible_distributors
-- The distributors that a user may see: its own if it may read, all if it is an administrator.
SELECT d.distributor_id, d.user_name
FROM gateway.api_user u
JOIN gateway.distributor d ON 'admin' = ANY (u.roles) OR (d.distributor_id = u.distributor_id AND 'read' = ANY (u.roles))
WHERE u.user_id = $1
ORDER BY d.user_name, d.distributor_id
