-- One row per day on which something was bought or came back.
select
    ordered_on,
    count(distinct order_number) filter (where not is_cancellation) as order_count,
    count(distinct order_number) filter (where is_cancellation) as cancellation_count,
    cast(sum(line_count) as bigint) as line_count,
    count(distinct buyer_id) as buyer_count,
    cast(sum(units_sold) as bigint) as units_sold,
    cast(sum(units_returned) as bigint) as units_returned,
    cast(sum(sales_amount) as decimal(28, 2)) as sales_amount,
    cast(sum(return_amount) as decimal(28, 2)) as return_amount,
    cast(sum(fee_amount) as decimal(28, 2)) as fee_amount,
    cast(sum(net_amount) as decimal(28, 2)) as net_amount,
    cast(coalesce(sum(net_amount) filter (where is_buyer_unknown), 0) as decimal(28, 2)) as unknown_buyer_amount,
    part_date
from {{ ref('orders') }}
group by ordered_on, part_date
