-- The newest revision of each consignment.
{% set columns = "consignment_number, scan, revision, carrier, depot, weight_kg, fragile, scanned_at" %}
with candidates as (
    select {{ columns }} from {{ ref('stg_scans') }}
    union all
    select {{ columns }} from {{ source('silver', 'parcels_current') }}
)

select {{ columns }}, strftime(scanned_at at time zone 'UTC', '%Y-%m-%d') as part_date
from candidates
qualify row_number() over (partition by consignment_number order by revision desc, scan desc) = 1
