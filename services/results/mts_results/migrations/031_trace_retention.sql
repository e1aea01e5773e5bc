-- Wire traces go before the tests that they belong to. Truncating locks this one table; where that would have to wait,
-- nothing is done, so that no reader waits behind it (the limit is under deadlock_timeout).
CREATE FUNCTION results.empty_traces(first_id bigint) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
BEGIN
    EXECUTE format('TRUNCATE results.%I', 'trace_' || first_id);
END
$$;
