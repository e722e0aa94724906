{{ config(materialized='table') }}

-- What the runner asks for keys and days: which lines change, and to which days the new events belong. A removal has no
-- day of its own; the day that its line stands on is found by the key.
select
    *,
    {{ part_date(shop_day('ordered_at')) }} as part_date
from {{ ref('stg_purchase_changes') }}
