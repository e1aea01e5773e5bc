-- name: known_requests
-- Which of some tests have been requested or cancelled here, or are too old to be kept.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
LEFT JOIN (SELECT test_id, cancelled_at FROM results.test WHERE test_id = ANY($1::bigint[])) t USING (test_id)
LEFT JOIN (SELECT test_id, true AS here FROM results.request WHERE test_id = ANY($1::bigint[])) r USING (test_id)
WHERE r.here OR t.cancelled_at IS NOT NULL OR results.is_dropped(test_id)
ORDER BY test_id;

-- name: settled_outcomes
-- Which of some outcomes are here, and whether the reports they name are. Cancelled or no longer kept counts as both.
SELECT test_id, gone OR asked.attempt IS NULL OR a.test_id IS NOT NULL AS reported
FROM unnest($1::bigint[], $2::integer[]) AS asked (test_id, attempt)
LEFT JOIN (SELECT test_id, cancelled_at FROM results.test WHERE test_id = ANY($1::bigint[])) t USING (test_id)
LEFT JOIN (SELECT test_id, attempt FROM results.attempt WHERE test_id = ANY($1::bigint[])) a USING (test_id, attempt)
LEFT JOIN (SELECT test_id, attempt, true AS here FROM results.outcome WHERE test_id = ANY($1::bigint[])) o
    USING (test_id)
CROSS JOIN LATERAL (SELECT t.cancelled_at IS NOT NULL OR results.is_dropped(test_id) AS gone) g
WHERE gone OR (o.here AND o.attempt IS NOT DISTINCT FROM asked.attempt)
ORDER BY test_id;

-- name: settled_cancels
-- Which of some tests are cancelled here, or are too old to be kept.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
LEFT JOIN (SELECT test_id, cancelled_at FROM results.test WHERE test_id = ANY($1::bigint[])) t USING (test_id)
WHERE t.cancelled_at IS NOT NULL OR results.is_dropped(test_id)
ORDER BY test_id;
