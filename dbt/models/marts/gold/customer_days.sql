-- One row per known buyer and day: what lifetime figures are added up from, so that their cost follows days, not lines.
select
    ordered_on,
    buyer_id,
    count(distinct order_number) filter (where not is_return) as order_count,
    cast(coalesce(sum(total_amount) filter (where line_kind = 'sale'), 0) as decimal(28, 2)) as sales_amount,
    cast(coalesce(sum(-total_amount) filter (where line_kind = 'return'), 0) as decimal(28, 2)) as return_amount,
    cast(coalesce(sum(total_amount) filter (where line_kind = 'fee'), 0) as decimal(28, 2)) as fee_amount,
    cast(sum(total_amount) as decimal(28, 2)) as net_amount,
    max_by(country, (ordered_at, order_id)) as country,
    part_date
from {{ ref('int_purchase_lines') }}
where buyer_id is not null
group by ordered_on, buyer_id, part_date
