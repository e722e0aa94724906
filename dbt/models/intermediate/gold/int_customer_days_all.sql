-- All days of all customers: those that this run rewrites as they will be, the others as they stand.
{% set columns -%}
    ordered_on, buyer_id, order_count, sales_amount, return_amount, fee_amount, net_amount, country
{%- endset %}

select {{ columns }}
from {{ ref('customer_days') }}
union all
select {{ columns }}
from {{ source('gold', 'customer_days_kept') }}
