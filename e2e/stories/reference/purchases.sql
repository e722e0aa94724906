-- Silver and Gold of the purchases, computed from the table `events` in one go: what the lake and the warehouse must hold.
-- Written from the descriptions of the models, not from their SQL. Put in by the caller: {seeds} (folder of the seeds).
CREATE OR REPLACE MACRO tidy(words) AS
    nullif(array_to_string(list_filter(regexp_split_to_array(words, '\s+'), word -> word <> ''), ' '), '');

CREATE OR REPLACE TABLE expected_order_lines AS
WITH latest AS (
    SELECT *
    FROM events
    WHERE NOT EXISTS (
        SELECT 1
        FROM events AS later
        WHERE later.order_id = events.order_id
            AND (later.ordered_at > events.ordered_at
                OR (later.ordered_at = events.ordered_at AND later.event_id > events.event_id))
    )
),
groups AS (
    SELECT words.description, arg_min(seed.product_group, seed.rank) AS product_group
    FROM (SELECT DISTINCT tidy(description) AS description FROM latest) AS words
    JOIN read_csv('{seeds}/product_groups.csv') AS seed
        ON list_contains(regexp_split_to_array(upper(words.description), '[^A-Z0-9-]+'), seed.word)
    GROUP BY ALL
),
fees AS (SELECT product_id FROM read_csv('{seeds}/fees.csv', all_varchar = true)),
countries AS (SELECT * FROM read_csv('{seeds}/countries.csv', all_varchar = true)),
facts AS (
    SELECT
        latest.order_id,
        event_id,
        array_to_string(list_slice(string_split(latest.order_id, '-'), 1, -2), '-') AS order_number,
        line_number,
        tidy(buyer_id) AS buyer_id,
        upper(tidy(product_id)) AS product_id,
        tidy(description) AS description,
        quantity,
        unit_price,
        total_amount,
        tidy(country) AS country,
        ordered_at,
        CAST(timezone('Europe/London', ordered_at) AS DATE) AS ordered_on
    FROM latest
)
SELECT
    facts.order_id,
    event_id,
    order_number,
    line_number,
    buyer_id,
    facts.product_id,
    facts.description,
    CASE WHEN facts.product_id IN (FROM fees) THEN 'Fees' ELSE coalesce(product_group, 'Other') END AS product_group,
    quantity,
    unit_price,
    total_amount,
    facts.country,
    country_code,
    coalesce(region, 'Unknown') AS region,
    ordered_at,
    ordered_on,
    CASE
        WHEN facts.product_id IN (FROM fees) THEN 'fee'
        WHEN unit_price = 0 THEN 'stock_correction'
        WHEN quantity < 0 OR upper(order_number) LIKE 'C%' THEN 'return'
        ELSE 'sale'
    END AS line_kind,
    quantity < 0 OR upper(order_number) LIKE 'C%' AS is_return,
    facts.product_id IN (FROM fees) AS is_fee,
    unit_price = 0 AS is_stock_correction,
    buyer_id IS NULL AS is_buyer_unknown,
    total_amount <> round(quantity * unit_price, 2) AS is_amount_inconsistent
FROM facts
LEFT JOIN groups ON groups.description = facts.description
LEFT JOIN countries ON countries.country = facts.country;

CREATE OR REPLACE TABLE purchase_lines AS
SELECT
    *,
    CASE line_kind WHEN 'sale' THEN total_amount ELSE 0 END AS sold,
    CASE line_kind WHEN 'return' THEN -total_amount ELSE 0 END AS returned,
    CASE line_kind WHEN 'fee' THEN total_amount ELSE 0 END AS fee,
    CASE line_kind WHEN 'sale' THEN quantity ELSE 0 END AS pieces_sold,
    CASE line_kind WHEN 'return' THEN -quantity ELSE 0 END AS pieces_returned
FROM expected_order_lines
WHERE line_kind <> 'stock_correction';

CREATE OR REPLACE TABLE expected_orders AS
SELECT
    order_number,
    ordered_on,
    min(ordered_at) AS first_ordered_at,
    max(ordered_at) AS last_ordered_at,
    min(buyer_id) AS buyer_id,
    min(country) AS country,
    min(country_code) AS country_code,
    min(region) AS region,
    count(*) AS line_count,
    count(DISTINCT CASE WHEN NOT is_fee THEN product_id END) AS product_count,
    sum(pieces_sold) AS units_sold,
    sum(pieces_returned) AS units_returned,
    sum(sold) AS sales_amount,
    sum(returned) AS return_amount,
    sum(fee) AS fee_amount,
    sum(total_amount) AS net_amount,
    count(*) = sum(is_return::INTEGER) AS is_cancellation,
    count(buyer_id) = 0 AS is_buyer_unknown
FROM purchase_lines
GROUP BY ALL;

CREATE OR REPLACE TABLE expected_daily_sales AS
SELECT
    ordered_on,
    count(DISTINCT order_number) - count(DISTINCT CASE WHEN cancelled THEN order_number END) AS order_count,
    count(DISTINCT CASE WHEN cancelled THEN order_number END) AS cancellation_count,
    count(*) AS line_count,
    count(DISTINCT order_buyer) AS buyer_count,
    sum(pieces_sold) AS units_sold,
    sum(pieces_returned) AS units_returned,
    sum(sold) AS sales_amount,
    sum(returned) AS return_amount,
    sum(fee) AS fee_amount,
    sum(total_amount) AS net_amount,
    sum(CASE WHEN order_buyer IS NULL THEN total_amount ELSE 0 END) AS unknown_buyer_amount
FROM (
    SELECT
        *,
        bool_and(is_return) OVER same_order AS cancelled,
        min(buyer_id) OVER same_order AS order_buyer
    FROM purchase_lines
    WINDOW same_order AS (PARTITION BY order_number, ordered_on)
)
GROUP BY ordered_on;

CREATE OR REPLACE TABLE expected_product_sales AS
SELECT
    ordered_on,
    product_id,
    last(description ORDER BY ordered_at, order_id) AS description,
    last(product_group ORDER BY ordered_at, order_id) AS product_group,
    count(DISTINCT order_number) AS order_count,
    count(*) AS line_count,
    sum(pieces_sold) AS units_sold,
    sum(pieces_returned) AS units_returned,
    sum(sold) AS sales_amount,
    sum(returned) AS return_amount,
    sum(total_amount) AS net_amount
FROM purchase_lines
WHERE NOT is_fee
GROUP BY ordered_on, product_id;

CREATE OR REPLACE TABLE expected_customer_days AS
SELECT
    ordered_on,
    buyer_id,
    count(DISTINCT CASE WHEN NOT is_return THEN order_number END) AS order_count,
    sum(sold) AS sales_amount,
    sum(returned) AS return_amount,
    sum(fee) AS fee_amount,
    sum(total_amount) AS net_amount,
    last(country ORDER BY ordered_at, order_id) AS country
FROM purchase_lines
WHERE buyer_id IS NOT NULL
GROUP BY ordered_on, buyer_id;

CREATE OR REPLACE TABLE expected_customer_value AS
SELECT
    buyer_id,
    last(country ORDER BY ordered_on) AS country,
    min(ordered_on) AS first_ordered_on,
    max(ordered_on) AS last_ordered_on,
    count(*) AS active_days,
    sum(order_count) AS order_count,
    sum(sales_amount) AS sales_amount,
    sum(return_amount) AS return_amount,
    sum(fee_amount) AS fee_amount,
    sum(net_amount) AS net_amount
FROM expected_customer_days
GROUP BY buyer_id;
