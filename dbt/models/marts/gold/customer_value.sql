-- One row per known buyer over all time, at the time of the run.
select
    days.buyer_id,
    max_by(days.country, days.ordered_on) as country,
    min(days.ordered_on) as first_ordered_on,
    max(days.ordered_on) as last_ordered_on,
    count(*) as active_days,
    cast(sum(days.order_count) as bigint) as order_count,
    cast(sum(days.sales_amount) as decimal(28, 2)) as sales_amount,
    cast(sum(days.return_amount) as decimal(28, 2)) as return_amount,
    cast(sum(days.fee_amount) as decimal(28, 2)) as fee_amount,
    cast(sum(days.net_amount) as decimal(28, 2)) as net_amount,
    cast({{ shop_day('max(context.as_of)') }} - max(days.ordered_on) as bigint) as days_since_last_order,
    max(context.as_of) as valued_at
from {{ ref('int_customer_days_all') }} as days
cross join {{ source('run', 'context') }} as context
group by days.buyer_id
