-- The purchases of a file of events, one JSON object a line, as a client sent them. Put in by the caller: {file}.
CREATE OR REPLACE TABLE events AS
SELECT DISTINCT *
FROM read_json('{file}', format = 'newline_delimited', columns = {
    order_id: 'VARCHAR', event_id: 'VARCHAR', line_number: 'BIGINT', buyer_id: 'VARCHAR', product_id: 'VARCHAR',
    description: 'VARCHAR', quantity: 'BIGINT', unit_price: 'DECIMAL(18,4)', country: 'VARCHAR',
    ordered_at: 'TIMESTAMPTZ', total_amount: 'DECIMAL(18,2)'
});
