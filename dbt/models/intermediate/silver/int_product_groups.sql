-- The group of each description, so that each distinct text is searched once.
with descriptions as (
    select distinct {{ clean_text('description') }} as description
    from {{ ref('int_order_line_latest') }}
),

words as (
    select
        description,
        unnest(string_split_regex(upper(description), '[^A-Z0-9-]+')) as word
    from descriptions
)

select
    words.description,
    min_by(product_groups.product_group, product_groups.rank) as product_group
from words
inner join {{ ref('product_groups') }} as product_groups on words.word = product_groups.word
group by words.description
