-- name: load_tests
-- The tests with their requests and outcomes.
SELECT t.test_id, t.cancelled_at, r.item::text AS item, o.attempt, o.outcome, o.failure, o.detail, o.finished_at
FROM results.test t
LEFT JOIN results.request r ON r.test_id = t.test_id AND r.test_id = ANY($1::bigint[])
LEFT JOIN results.outcome o ON o.test_id = t.test_id AND o.test_id = ANY($1::bigint[])
WHERE t.test_id = ANY($1::bigint[])
ORDER BY t.test_id;

-- name: load_attempts
-- The tests' attempts, reported or only hung up; data only of finished tests, and only if asked for.
SELECT test_id, attempt, a.started_at, a.ended_at, a.connection_started_at, a.connection_ended_at,
    a.sections::text AS sections, l.connected_at AS line_connected_at, l.disconnected_at AS line_disconnected_at,
    CASE WHEN $2::boolean AND o.test_id IS NOT NULL THEN a.data::text END AS data
FROM (SELECT * FROM results.attempt WHERE test_id = ANY($1::bigint[])) a
FULL JOIN (SELECT * FROM results.line WHERE test_id = ANY($1::bigint[])) l USING (test_id, attempt)
LEFT JOIN (SELECT test_id FROM results.outcome WHERE test_id = ANY($1::bigint[])) o USING (test_id)
ORDER BY test_id, attempt;

-- name: next_tests
-- Some tests after one, by id.
SELECT test_id FROM results.test WHERE test_id > $1 ORDER BY test_id LIMIT $2;

-- name: check
-- Whether the database answers.
SELECT 1;
