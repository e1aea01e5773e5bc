-- name: store_parts
-- Keep parts of reports that are not here whole.
INSERT INTO results.report_part (test_id, attempt, part, parts, body, arrived_at)
SELECT r.test_id, r.attempt, r.part, r.parts, r.body, $6::timestamptz
FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::bytea[])
    AS r (test_id, attempt, part, parts, body)
WHERE NOT EXISTS (
    SELECT FROM results.attempt a
    WHERE a.test_id = ANY($1::bigint[]) AND a.test_id = r.test_id AND a.attempt = r.attempt
)
ORDER BY r.test_id, r.attempt, r.part
ON CONFLICT DO NOTHING;

-- name: whole_reports
-- The attempts of some tests whose parts are all here.
SELECT test_id, attempt FROM results.report_part
WHERE test_id = ANY($1::bigint[])
GROUP BY test_id, attempt
HAVING count(*) = max(parts)
ORDER BY test_id, attempt;

-- name: take_parts
-- Take the parts of one report away.
DELETE FROM results.report_part WHERE test_id = $1 AND attempt = $2 RETURNING part, body;

-- name: expire_parts
-- Delete parts whose others have not come.
DELETE FROM results.report_part WHERE arrived_at < $1::timestamptz;
