-- The purchases of a file, made into events a second time, by SQL alone; `refusal` says which the contract must refuse.
-- Put in by the caller: {file}, {digest} (SHA-256 of the unpacked file), {encoding}.
CREATE OR REPLACE TABLE posted AS
WITH lines AS (
    SELECT *, row_number() OVER () AS number
    FROM read_csv('{file}', header = true, all_varchar = true, quote = '"', escape = '"', parallel = false, encoding = '{encoding}')
),
counted AS (
    SELECT *, row_number() OVER (PARTITION BY InvoiceNo ORDER BY number) AS line_number FROM lines
),
typed AS (
    SELECT
        number,
        InvoiceNo || '-' || line_number AS order_id,
        substr(sha256('{digest}:' || number), 1, 32) AS event_id,
        line_number,
        CustomerID AS buyer_id,
        StockCode AS product_id,
        Description AS description,
        TRY_CAST(Quantity AS BIGINT) AS quantity,
        TRY_CAST(UnitPrice AS DECIMAL(18, 4)) AS unit_price,
        Country AS country,
        coalesce(
            try_strptime(InvoiceDate, '%-m/%-d/%y %-H:%M'),
            try_strptime(InvoiceDate, '%-m/%-d/%Y %-H:%M'),
            TRY_CAST(InvoiceDate AS TIMESTAMP)
        ) AT TIME ZONE 'Europe/London' AS ordered_at
    FROM counted
)
SELECT
    *,
    CAST(round(quantity * unit_price, 2) AS DECIMAL(18, 2)) AS total_amount,
    CASE
        WHEN order_id IS NULL THEN 'no order'
        WHEN coalesce(trim(product_id), '') = '' THEN 'no product'
        WHEN coalesce(trim(description), '') = '' THEN 'no description'
        WHEN quantity IS NULL OR quantity = 0 THEN 'nothing bought'
        WHEN unit_price IS NULL OR unit_price < 0 THEN 'no price'
        WHEN coalesce(trim(country), '') = '' THEN 'no country'
        WHEN ordered_at IS NULL THEN 'no time'
    END AS refusal
FROM typed;

CREATE OR REPLACE TABLE events AS
SELECT * EXCLUDE (number, refusal) FROM posted WHERE refusal IS NULL;
