-- name: partitions
-- All partitions there are or were.
SELECT first, upto, dropped_at IS NOT NULL AS dropped FROM results.partition ORDER BY first;

-- name: ensure_partition
-- Make the partition of a test if there is none.
SELECT results.ensure_partition($1::bigint, $2::bigint);

-- name: count_late
-- Count what arrived for dropped partitions.
UPDATE results.partition p SET late = p.late + l.items
FROM unnest($1::bigint[], $2::bigint[]) AS l (first, items)
WHERE p.first = l.first;

-- name: newest_test
-- The greatest id heard of.
SELECT max(test_id) FROM results.test;

-- name: old_partitions
-- The partitions whose newest test was first heard of before a time; never the newest that is in use.
SELECT p.first FROM results.partition p
WHERE p.dropped_at IS NULL
    AND EXISTS (SELECT FROM results.test t WHERE t.test_id >= p.upto)
    AND (
        SELECT t.seen_at FROM results.test t
        WHERE t.test_id >= p.first AND t.test_id < p.upto
        ORDER BY t.test_id DESC LIMIT 1
    ) < $1::timestamptz
ORDER BY p.first;

-- name: old_traces
-- The partitions that hold wire traces and whose newest test was first heard of before a time.
SELECT p.first FROM results.partition p
WHERE p.dropped_at IS NULL
    AND EXISTS (SELECT FROM results.test t WHERE t.test_id >= p.upto)
    AND (
        SELECT t.seen_at FROM results.test t
        WHERE t.test_id >= p.first AND t.test_id < p.upto
        ORDER BY t.test_id DESC LIMIT 1
    ) < $1::timestamptz
    AND EXISTS (SELECT FROM results.trace t WHERE t.test_id >= p.first AND t.test_id < p.upto)
ORDER BY p.first;

-- name: empty_traces
-- Delete the wire traces of a partition.
SELECT results.empty_traces($1::bigint);

-- name: drop_partition
-- Drop the tables of a partition.
SELECT results.drop_partition($1::bigint);
