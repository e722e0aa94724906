-- The lines that are purchases, on the touched days: corrections of the stock are none.
select *
from {{ source('silver', 'order_lines_touched') }}
where line_kind <> 'stock_correction'
