-- What the tables of the shipments must hold. Put in by the caller: {file}, one scan a line as JSON.
CREATE OR REPLACE TABLE scans AS
SELECT
    consignment.number AS consignment_number, scan, revision, consignment.carrier AS carrier, depot,
    CAST(weight_kg AS DECIMAL(12, 3)) AS weight_kg, coalesce(fragile, false) AS fragile, scanned_at
FROM read_json('{file}', format = 'newline_delimited', columns = {
    scan: 'BIGINT', consignment: 'STRUCT(number BIGINT, carrier VARCHAR)', revision: 'BIGINT', scanned_at: 'TIMESTAMPTZ',
    weight_kg: 'VARCHAR', depot: 'VARCHAR', fragile: 'BOOLEAN'
});

CREATE OR REPLACE TABLE expected_parcels AS
SELECT scans.*
FROM scans
JOIN (SELECT consignment_number, max((revision, scan)) AS newest FROM scans GROUP BY consignment_number) AS chosen
    ON scans.consignment_number = chosen.consignment_number AND (scans.revision, scans.scan) = chosen.newest;

CREATE OR REPLACE TABLE expected_depot_days AS
SELECT
    CAST(timezone('UTC', scanned_at) AS DATE) AS scanned_on,
    depot,
    count(*) AS parcel_count,
    sum(fragile::INTEGER) AS fragile_count,
    sum(weight_kg) AS weight_kg
FROM expected_parcels
GROUP BY ALL;
