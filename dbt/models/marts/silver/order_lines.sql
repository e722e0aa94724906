-- Order lines as the shop may rely on them: texts cleaned, countries and product groups joined, what is odd about a line
-- said in flags. No line is left out. The kind is the first that fits: a fee, a correction of the stock (no price), a
-- return, a sale.
with lines as (
    select
        *,
        regexp_replace(order_id, '-[^-]*$', '') as order_number,
        upper({{ clean_text('product_id') }}) as clean_product_id,
        {{ clean_text('buyer_id') }} as clean_buyer_id,
        {{ clean_text('description') }} as clean_description,
        {{ clean_text('country') }} as clean_country,
        {{ shop_day('ordered_at') }} as ordered_on
    from {{ ref('int_order_line_latest') }}
),

flagged as (
    select
        lines.*,
        fees.fee,
        countries.country_code,
        countries.region,
        product_groups.product_group,
        lines.quantity < 0 or lines.order_number ilike 'C%' as is_return,
        fees.fee is not null as is_fee,
        lines.unit_price = 0 as is_stock_correction,
        lines.clean_buyer_id is null as is_buyer_unknown,
        lines.total_amount <> round(lines.quantity * lines.unit_price, 2) as is_amount_inconsistent,
        lines.ordered_at > context.as_of as is_in_future
    from lines
    cross join {{ source('run', 'context') }} as context
    left join {{ ref('fees') }} as fees on lines.clean_product_id = fees.product_id
    left join {{ ref('countries') }} as countries on lines.clean_country = countries.country
    left join {{ ref('int_product_groups') }} as product_groups on lines.clean_description = product_groups.description
)

select
    order_id,
    event_id,
    order_number,
    line_number,
    clean_buyer_id as buyer_id,
    clean_product_id as product_id,
    clean_description as description,
    case when is_fee then 'Fees' else coalesce(product_group, 'Other') end as product_group,
    quantity,
    unit_price,
    total_amount,
    clean_country as country,
    country_code,
    coalesce(region, 'Unknown') as region,
    ordered_at,
    ordered_on,
    case
        when is_fee then 'fee'
        when is_stock_correction then 'stock_correction'
        when is_return then 'return'
        else 'sale'
    end as line_kind,
    is_return,
    is_fee,
    is_stock_correction,
    is_buyer_unknown,
    is_amount_inconsistent,
    is_in_future,
    event_time,
    event_version,
    contract_version,
    {{ part_date('ordered_on') }} as part_date
from flagged
