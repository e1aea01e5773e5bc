-- How many periods of a device were read on a day (UTC), whatever their channels: who counts them over years must not
-- read every measurement. Written with the measurements, under the lock on the device.
CREATE TABLE results.period_count (
    device_id text NOT NULL,
    day timestamptz NOT NULL,
    periods integer NOT NULL,
    PRIMARY KEY (device_id, day)
);
INSERT INTO results.period_count (device_id, day, periods)
SELECT device_id, date_trunc('day', starts_at, 'UTC') AS day, count(DISTINCT starts_at)
FROM results.measurement
GROUP BY device_id, day;

-- Drop one month of readings with its counts. Where that would have to wait, nothing is dropped.
CREATE OR REPLACE FUNCTION results.drop_month(child text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    month timestamp := to_timestamp(right(child, 7), 'YYYY_MM') AT TIME ZONE current_setting('TimeZone');
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS results.%I', child);
    IF child LIKE 'measurement\_%' THEN
        DELETE FROM results.period_count
        WHERE day >= month AT TIME ZONE 'UTC' AND day < (month + interval '1 month') AT TIME ZONE 'UTC';
    END IF;
END
$$;

CREATE VIEW results_v1.period_count AS
SELECT device_id, day, periods
FROM results.period_count;

GRANT SELECT ON results_v1.period_count TO mts_gateway;
