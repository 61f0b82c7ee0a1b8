-- Question: Which designs has nobody ordered?
-- Unit: designs.
-- Grain: a row for each design in ToteSys that no order refers to now.
-- Trap: Another design of the same name may sell well. If an order was moved to another design, its first design may appear here.
-- Reads: fact_sales_order (design_id), dim_design (design_id, design_name, file_name)
-- Columns: design_id, design_name, file_name
SELECT d.design_id, d.design_name, d.file_name
FROM {current_dim_design} AS d
WHERE NOT EXISTS (
    SELECT FROM {current_fact_sales_order} AS o WHERE o.design_id = d.design_id
)
