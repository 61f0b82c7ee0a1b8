-- The facts' foreign keys, for people and tools to see. PostgreSQL 18 and later only: NOT ENFORCED,
-- because the load proves them for a whole batch at once, in the transaction that writes it;
-- enforced row by row, nine keys make COPY about 16 times slower.

ALTER TABLE fact_sales_order
    ADD FOREIGN KEY (created_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (last_updated_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (sales_staff_id) REFERENCES dim_staff NOT ENFORCED,
    ADD FOREIGN KEY (counterparty_id) REFERENCES dim_counterparty NOT ENFORCED,
    ADD FOREIGN KEY (currency_id) REFERENCES dim_currency NOT ENFORCED,
    ADD FOREIGN KEY (design_id) REFERENCES dim_design NOT ENFORCED,
    ADD FOREIGN KEY (agreed_payment_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (agreed_delivery_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES dim_location NOT ENFORCED;

ALTER TABLE fact_purchase_order
    ADD FOREIGN KEY (created_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (last_updated_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (staff_id) REFERENCES dim_staff NOT ENFORCED,
    ADD FOREIGN KEY (counterparty_id) REFERENCES dim_counterparty NOT ENFORCED,
    ADD FOREIGN KEY (currency_id) REFERENCES dim_currency NOT ENFORCED,
    ADD FOREIGN KEY (agreed_delivery_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (agreed_payment_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES dim_location NOT ENFORCED;

ALTER TABLE fact_payment
    ADD FOREIGN KEY (created_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (last_updated_date) REFERENCES dim_date NOT ENFORCED,
    ADD FOREIGN KEY (transaction_id) REFERENCES dim_transaction NOT ENFORCED,
    ADD FOREIGN KEY (counterparty_id) REFERENCES dim_counterparty NOT ENFORCED,
    ADD FOREIGN KEY (currency_id) REFERENCES dim_currency NOT ENFORCED,
    ADD FOREIGN KEY (payment_type_id) REFERENCES dim_payment_type NOT ENFORCED,
    ADD FOREIGN KEY (payment_date) REFERENCES dim_date NOT ENFORCED;
