-- The months of readings.

-- name: ensure_months
-- Make the monthly partitions of a table that some moments need.
SELECT results.ensure_months($1::text, $2::timestamptz[]);

-- name: set_reading_floor
-- Keep no readings before a moment.
UPDATE results.reading_floor SET kept_from = $1 WHERE kept_from <> $1;

-- name: old_months
-- The tables that hold nothing but readings before a moment.
SELECT child FROM results.months_before($1) AS child;

-- name: drop_month
-- Drop one of them.
SELECT results.drop_month($1::text);
