-- How the tables of a service are: `{schema}` is replaced by the schema that holds them.

-- name: tables
-- Bytes, estimated rows, and how long ago vacuum came by, for each table; partitions count as their parent.
SELECT
    coalesce(parent.relname, part.relname) AS table_name,
    sum(pg_table_size(part.oid))::bigint AS rows_size,
    sum(pg_indexes_size(part.oid))::bigint AS indexes_size,
    sum(stat.n_live_tup)::bigint AS live,
    sum(stat.n_dead_tup)::bigint AS dead,
    extract(epoch FROM now() - max(greatest(stat.last_vacuum, stat.last_autovacuum)))::float8 AS vacuum_age,
    max(age(part.relfrozenxid)) AS freeze_age
FROM pg_class AS part
JOIN pg_stat_user_tables AS stat ON stat.relid = part.oid
LEFT JOIN pg_inherits ON pg_inherits.inhrelid = part.oid
LEFT JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
WHERE part.relnamespace = '{schema}'::regnamespace AND part.relkind = 'r'
GROUP BY 1

-- name: invalid_indexes
-- Indexes whose building failed or has not ended.
SELECT count(*)
FROM pg_index
JOIN pg_class ON pg_class.oid = pg_index.indexrelid
WHERE pg_class.relnamespace = '{schema}'::regnamespace AND NOT pg_index.indisvalid AND pg_class.relkind = 'i'
