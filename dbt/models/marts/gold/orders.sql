-- One row per order and day. Lines of an order that stand on different days (one was moved by a correction) make a row on
-- each of them, so that every day's rows add up to the day.
select
    order_number,
    ordered_on,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at,
    min(buyer_id) as buyer_id,
    min(country) as country,
    min(country_code) as country_code,
    min(region) as region,
    count(*) as line_count,
    count(distinct product_id) filter (where not is_fee) as product_count,
    cast(coalesce(sum(quantity) filter (where line_kind = 'sale'), 0) as bigint) as units_sold,
    cast(coalesce(sum(-quantity) filter (where line_kind = 'return'), 0) as bigint) as units_returned,
    cast(coalesce(sum(total_amount) filter (where line_kind = 'sale'), 0) as decimal(28, 2)) as sales_amount,
    cast(coalesce(sum(-total_amount) filter (where line_kind = 'return'), 0) as decimal(28, 2)) as return_amount,
    cast(coalesce(sum(total_amount) filter (where line_kind = 'fee'), 0) as decimal(28, 2)) as fee_amount,
    cast(sum(total_amount) as decimal(28, 2)) as net_amount,
    bool_and(is_return) as is_cancellation,
    min(buyer_id) is null as is_buyer_unknown,
    part_date
from {{ ref('int_purchase_lines') }}
group by order_number, ordered_on, part_date
