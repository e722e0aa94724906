{#- Text without white space at its ends and with single spaces inside; nothing left is null. -#}
{% macro clean_text(column) -%}
    nullif(trim(regexp_replace({{ column }}, '\s+', ' ', 'g')), '')
{%- endmacro %}
