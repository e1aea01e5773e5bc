-- Emptying the registry, in the order in which its tables name each other. Clients, tokens and tests stay.

-- name: clear_meter_readings
-- All cumulative readings.
DELETE FROM gateway.meter_reading

-- name: clear_contract_meters
-- All contract meters.
DELETE FROM gateway.contract_meter

-- name: clear_contracts
-- All warranty contracts.
DELETE FROM gateway.warranty_contract

-- name: clear_meters
-- All meters.
DELETE FROM gateway.asset_meter

-- name: clear_assets
-- All assets.
DELETE FROM gateway.asset

-- name: clear_devices
-- All devices.
DELETE FROM gateway.device

-- name: clear_customers
-- All customers.
DELETE FROM gateway.customer

-- name: clear_users
-- Users, except those of these ids and lower-case names, who keep what they have been issued.
DELETE FROM gateway.api_user known
WHERE NOT EXISTS (
    SELECT FROM unnest($1::uuid[], $2::text[]) AS kept (user_id, user_name)
    WHERE kept.user_id = known.user_id AND kept.user_name = lower(known.user_name)
)

-- name: free_users
-- Users belong to no distributor, until they are put again.
UPDATE gateway.api_user SET distributor_id = NULL WHERE distributor_id IS NOT NULL

-- name: clear_distributors
-- Distributors, except those of these ids; the clients that they were stay.
DELETE FROM gateway.distributor WHERE distributor_id <> ALL ($1::uuid[])

-- name: clear_timezones
-- All time zones.
DELETE FROM gateway.timezone
