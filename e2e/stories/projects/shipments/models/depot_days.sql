-- Parcels of each depot and day.
select
    cast(scanned_at at time zone 'UTC' as date) as scanned_on,
    depot,
    count(*) as parcel_count,
    count(*) filter (where fragile) as fragile_count,
    cast(sum(weight_kg) as decimal(28, 3)) as weight_kg,
    part_date
from {{ source('silver', 'parcels_touched') }}
group by scanned_on, depot, part_date
