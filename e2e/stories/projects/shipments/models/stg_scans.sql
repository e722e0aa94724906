-- New scans, each once.
select
    cast(_key as bigint) as consignment_number,
    cast(_event_id as bigint) as scan,
    _version as revision,
    json_extract_string(consignment, '$.carrier') as carrier,
    depot,
    weight_kg,
    coalesce(fragile, false) as fragile,
    scanned_at,
    strftime(scanned_at at time zone 'UTC', '%Y-%m-%d') as part_date
from {{ source('bronze', 'bronze_new') }}
where _change <> 'REMOVE'
qualify row_number() over (partition by _key, _event_id order by length(_sequence) desc, _sequence desc) = 1
