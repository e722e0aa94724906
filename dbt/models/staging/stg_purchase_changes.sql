-- The last change of each event: a stream hands over the changes of one item in the order of their sequence numbers. A
-- deletion carries no data; time and version come from the event's change before it, if that is among the new ones.
-- Rows without what every purchase has (written past the gateway, not readable by the contract) stay in Bronze only.
with changes as (
    select
        *,
        last_value(_event_time ignore nulls) over whole_event as event_time,
        last_value(_version ignore nulls) over whole_event as event_version,
        row_number() over (
            partition by _key, _event_id
            order by length(_sequence) desc, _sequence desc
        ) as recency
    from {{ source('bronze', 'bronze_new') }}
    where
        _change = 'REMOVE'
        or (
            _event_time is not null and ordered_at is not null and {{ clean_text('product_id') }} is not null
            and quantity is not null and unit_price is not null and total_amount is not null
        )
    window
        whole_event as (
            partition by _key, _event_id
            order by length(_sequence), _sequence
            rows between unbounded preceding and unbounded following
        )
)

select
    _key as order_id,
    _event_id as event_id,
    _change = 'REMOVE' as is_removed,
    event_time,
    event_version,
    _contract as contract_version,
    line_number,
    buyer_id,
    product_id,
    description,
    quantity,
    unit_price,
    total_amount,
    country,
    ordered_at
from changes
where recency = 1
