-- Question: Which designs has nobody ordered?
-- Unit: designs.
-- Grain: a row for each design that ToteSys has and no order names now.
-- Trap: A name says nothing: another design of it may sell well. An order that was moved to another design leaves its first one here.
-- Reads: fact_sales_order (design_id), dim_design (design_id, design_name, file_name)
-- Columns: design_id, design_name, file_name
SELECT d.design_id, d.design_name, d.file_name
FROM {current_dim_design} AS d
WHERE NOT EXISTS (
    SELECT FROM {current_fact_sales_order} AS o WHERE o.design_id = d.design_id
)
