-- One row per order line: the event of the highest version, else of the latest time, then of the highest event id. Events
-- without a version are from before the contract had one, and give way to those that have.
-- The line as it stands takes part in the contest, so an event that comes late changes nothing. When the event that wins
-- has been deleted, the line is gone.
{% set columns -%}
    order_id, event_id, is_removed, event_time, event_version, contract_version, line_number, buyer_id, product_id,
    description, quantity, unit_price, total_amount, country, ordered_at
{%- endset %}

with candidates as (
    select {{ columns }}, true as is_new
    from {{ ref('int_order_line_changes') }}
    union all
    select {{ columns | replace('is_removed', 'false as is_removed') }}, false as is_new
    from {{ source('silver', 'order_lines_current') }}
),

-- The event of a standing line can have changed: then the change holds. A deletion takes the time and version of the row
-- that it deletes.
events as (
    select
        *,
        coalesce(event_time, max(event_time) over same_event) as rank_time,
        coalesce(event_version, max(event_version) over same_event) as rank_version,
        row_number() over (partition by order_id, event_id order by is_new desc) as recency
    from candidates
    window same_event as (partition by order_id, event_id)
),

ranked as (
    select
        *,
        row_number() over (
            partition by order_id
            order by
                rank_version desc nulls last,
                case when rank_version is null then rank_time end desc nulls last,
                event_id desc
        ) as place
    from events
    where recency = 1
)

select {{ columns | replace('is_removed, ', '') }}
from ranked
where place = 1 and not is_removed
