-- name: known_requests
-- Which of some tests have been requested here, or are gone.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
WHERE EXISTS (SELECT FROM results.request r WHERE r.test_id = asked.test_id) OR results.is_gone(test_id)
ORDER BY test_id;

-- name: settled_outcomes
-- Which of some outcomes are here, and whether the reports they name are. A test that is gone counts as both.
SELECT test_id,
    asked.attempt IS NULL OR results.is_gone(test_id) OR EXISTS (
        SELECT FROM results.attempt a WHERE a.test_id = asked.test_id AND a.attempt = asked.attempt
    ) AS reported
FROM unnest($1::bigint[], $2::integer[]) AS asked (test_id, attempt)
WHERE results.is_gone(test_id) OR EXISTS (
    SELECT FROM results.outcome o WHERE o.test_id = asked.test_id AND o.attempt IS NOT DISTINCT FROM asked.attempt
)
ORDER BY test_id;

-- name: settled_cancels
-- Which of some cancelled tests are gone.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
WHERE results.is_gone(test_id)
ORDER BY test_id;
