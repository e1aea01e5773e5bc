-- Fills the registry and the stand-ins with rows in JSON, each with all columns that have no null.

-- name: fill_distributors
-- Distributors with the client that each is.
INSERT INTO gateway.distributor SELECT * FROM jsonb_populate_recordset(NULL::gateway.distributor, $1)

-- name: fill_timezones
-- Time zones.
INSERT INTO gateway.timezone SELECT * FROM jsonb_populate_recordset(NULL::gateway.timezone, $1)

-- name: fill_users
-- Users with hashed passwords.
INSERT INTO gateway.api_user SELECT * FROM jsonb_populate_recordset(NULL::gateway.api_user, $1)

-- name: fill_customers
-- Customers.
INSERT INTO gateway.customer SELECT * FROM jsonb_populate_recordset(NULL::gateway.customer, $1)

-- name: fill_devices
-- Devices.
INSERT INTO gateway.device SELECT * FROM jsonb_populate_recordset(NULL::gateway.device, $1)

-- name: fill_measurements
-- Survey readings.
INSERT INTO results_v1.measurement SELECT * FROM jsonb_populate_recordset(NULL::results_v1.measurement, $1)

-- name: fill_facts
-- Facts about devices.
INSERT INTO results_v1.device_fact SELECT * FROM jsonb_populate_recordset(NULL::results_v1.device_fact, $1)
