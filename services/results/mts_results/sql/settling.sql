-- name: known_requests
-- Which of some tests have been requested or cancelled here, or are too old to be kept.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
WHERE EXISTS (SELECT FROM results.request r WHERE r.test_id = asked.test_id)
    OR EXISTS (SELECT FROM results.test t WHERE t.test_id = asked.test_id AND t.cancelled_at IS NOT NULL)
    OR EXISTS (
        SELECT FROM results.partition p
        WHERE p.first <= asked.test_id AND asked.test_id < p.upto AND p.dropped_at IS NOT NULL
    )
ORDER BY test_id;

-- name: settled_outcomes
-- Which of some outcomes are here, and whether the reports they name are. Cancelled or no longer kept counts as both.
SELECT asked.test_id,
    gone.yes OR asked.attempt IS NULL OR EXISTS (
        SELECT FROM results.attempt a WHERE a.test_id = asked.test_id AND a.attempt = asked.attempt
    ) AS reported
FROM unnest($1::bigint[], $2::integer[]) AS asked (test_id, attempt)
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM results.test t WHERE t.test_id = asked.test_id AND t.cancelled_at IS NOT NULL)
        OR EXISTS (
            SELECT FROM results.partition p
            WHERE p.first <= asked.test_id AND asked.test_id < p.upto AND p.dropped_at IS NOT NULL
        ) AS yes
) gone
WHERE gone.yes OR EXISTS (
    SELECT FROM results.outcome o
    WHERE o.test_id = asked.test_id AND o.attempt IS NOT DISTINCT FROM asked.attempt
)
ORDER BY asked.test_id;

-- name: settled_cancels
-- Which of some cancels are here, or are for tests no longer kept.
SELECT test_id FROM unnest($1::bigint[]) AS asked (test_id)
WHERE EXISTS (SELECT FROM results.test t WHERE t.test_id = asked.test_id AND t.cancelled_at IS NOT NULL)
    OR EXISTS (
        SELECT FROM results.partition p
        WHERE p.first <= asked.test_id AND asked.test_id < p.upto AND p.dropped_at IS NOT NULL
    )
ORDER BY test_id;
