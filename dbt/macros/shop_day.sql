{#- The date in the shop of an instant. Session time zones play no part. -#}
{% macro shop_day(instant) -%}
    cast({{ instant }} at time zone '{{ var("shop_time_zone") }}' as date)
{%- endmacro %}

{#- A partition column holds text, in the same form at every table. -#}
{% macro part_date(day) -%}
    strftime({{ day }}, '%Y-%m-%d')
{%- endmacro %}
