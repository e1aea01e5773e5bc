-- The resources as a client sees them: columns are attributes. The caller sees all ($1) or those of a distributor ($2).

-- name: contract_meters
-- The meters of contracts.
SELECT
    own.contract_meter_id AS "ContractMeterId",
    own.contract_id AS "ContractId",
    own.meter_id AS "MeterId",
    meter.code AS "MeterCode",
    meter.name AS "MeterName",
    meter.description AS "MeterDescription",
    meter.uom_code AS "UOMCode",
    meter.unit_of_measure AS "UnitOfMeasure",
    own.start_value AS "MeterStartValue",
    own.interval_value AS "MeterIntervalValue",
    own.start_value + own.interval_value AS "MeterEndValue",
    own.calculated_due_date AS "CalculatedDueDate",
    own.active_end_date AS "ActiveEndDate",
    own.active_end_date IS NOT NULL AND own.active_end_date <= current_date AS "DisabledFlag",
    own.created_by AS "CreatedBy",
    own.creation_date AS "CreationDate",
    own.last_update_date AS "LastUpdateDate",
    own.last_updated_by AS "LastUpdatedBy",
    own.object_version
FROM gateway.contract_meter own
JOIN gateway.asset_meter meter USING (meter_id)
JOIN gateway.asset ON asset.asset_id = own.asset_id
WHERE $1::boolean OR asset.distributor_id = $2::uuid

-- name: contracts
-- Contracts.
SELECT
    contract.contract_id AS "ContractId",
    contract.contract_number AS "ContractNumber",
    asset.number AS "AssetNumber",
    contract.coverage_code AS "CoverageCode",
    contract.coverage_id AS "CoverageId",
    contract.status_code AS "ContractStatusCode",
    contract.start_date AS "ContractStartDate",
    contract.end_date AS "ContractEndDate",
    contract.calculated_expiration_date AS "CalculatedExpirationDate",
    contract.notes AS "ContractNotes",
    contract.external_reference_number AS "ExternalReferenceNumber",
    'ORA_ASSET' AS "ObjectTypeCode",
    asset.asset_id AS "ObjectId",
    contract.created_by AS "CreatedBy",
    contract.creation_date AS "CreationDate",
    contract.last_update_date AS "LastUpdateDate",
    contract.last_updated_by AS "LastUpdatedBy",
    contract.object_version
FROM gateway.warranty_contract contract
JOIN gateway.asset USING (asset_id)
WHERE $1::boolean OR asset.distributor_id = $2::uuid

-- name: token_view
-- Whose contracts a client ($1) sees with the token of a digest ($2), and its name.
SELECT
    coalesce(distributor.user_name, client.name) AS name,
    distributor.distributor_id,
    'admin' = ANY (token.scopes) AS everything
FROM gateway.client
JOIN gateway.token USING (client_id)
LEFT JOIN gateway.distributor USING (client_id)
WHERE client.client_id = $1 AND token.digest = $2
