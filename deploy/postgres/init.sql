-- The roles and schemas of MTS in the database that the connection is open to. Run it as a superuser, any number of
-- times:
--
--   psql -v ON_ERROR_STOP=1 -v gateway_password=… -v scheduler_password=… -v results_password=… -f init.sql
--
-- Each service owns its schema and may do nothing outside it; migrations grant the gateway what it reads of
-- results_v1. The services' tables come with `python -m mts_<service> migrate`.

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['mts_gateway', 'mts_scheduler', 'mts_results'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            EXECUTE format('CREATE ROLE %I', service);
        END IF;
    END LOOP;
END
$$;

ALTER ROLE mts_gateway LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'gateway_password';
ALTER ROLE mts_scheduler LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'scheduler_password';
ALTER ROLE mts_results LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'results_password';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO mts_gateway, mts_scheduler, mts_results;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS gateway AUTHORIZATION mts_gateway;
CREATE SCHEMA IF NOT EXISTS scheduler AUTHORIZATION mts_scheduler;
CREATE SCHEMA IF NOT EXISTS results AUTHORIZATION mts_results;
CREATE SCHEMA IF NOT EXISTS results_v1 AUTHORIZATION mts_results;
