-- One row per product and day; goods only, fees are no products. The words of the day's last line describe the product.
select
    ordered_on,
    product_id,
    max_by(description, (ordered_at, order_id)) as description,
    max_by(product_group, (ordered_at, order_id)) as product_group,
    count(distinct order_number) as order_count,
    count(*) as line_count,
    cast(coalesce(sum(quantity) filter (where line_kind = 'sale'), 0) as bigint) as units_sold,
    cast(coalesce(sum(-quantity) filter (where line_kind = 'return'), 0) as bigint) as units_returned,
    cast(coalesce(sum(total_amount) filter (where line_kind = 'sale'), 0) as decimal(28, 2)) as sales_amount,
    cast(coalesce(sum(-total_amount) filter (where line_kind = 'return'), 0) as decimal(28, 2)) as return_amount,
    cast(sum(total_amount) as decimal(28, 2)) as net_amount,
    part_date
from {{ ref('int_purchase_lines') }}
where not is_fee
group by ordered_on, product_id, part_date
