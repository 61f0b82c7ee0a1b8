"""Five questions to the warehouse, answered from its reports: a notebook of marimo."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="ToteSys: five questions")

with app.setup:
    from decimal import Decimal
    from pathlib import Path

    import marimo as mo
    import pandas as pd
    import psycopg
    from dotenv import load_dotenv

    from totesys_dagster import connect
    from totesys_dagster.local import stack


@app.cell
def _():
    load_dotenv(Path(".env"))
    stack.start()  # the embedded warehouse, where no other is set
    warehouse = psycopg.connect(connect.reader().uri(with_password=True), autocommit=True)

    def ask(question: str, query: str) -> pd.DataFrame:
        """The answer as a frame, in which money stays exact; printed where this runs as a
        script."""
        cursor = warehouse.execute(query)
        answer = pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])
        if mo.app_meta().mode == "script":
            print(f"{question}\n{answer.to_string(index=False)}\n")
        return answer

    return (ask,)


@app.cell
def _(ask):
    _question = "How much did we sell, by month and currency?"
    revenue = ask(
        _question,
        """
        SELECT month, currency_code, orders, revenue, unfinished
        FROM reports.revenue_by_month ORDER BY month DESC, currency_code LIMIT 12
        """,
    )
    mo.vstack([mo.md(f"## {_question}"), revenue])
    return (revenue,)


@app.cell
def _(ask):
    _question = "What is overdue today, and why?"
    overdue = ask(
        _question,
        """
        SELECT direction, currency_code, reason, payments, amount
        FROM reports.overdue_today ORDER BY direction, currency_code, reason
        """,
    )
    mo.vstack([mo.md(f"## {_question}"), overdue])
    return (overdue,)


@app.cell
def _(ask):
    _question = "Where do we deliver?"
    deliveries = ask(
        _question,
        """
        SELECT country, country_code, orders, units
        FROM reports.deliveries_by_country ORDER BY orders DESC, country LIMIT 10
        """,
    )
    mo.vstack([mo.md(f"## {_question}"), deliveries])
    return (deliveries,)


@app.cell
def _(ask):
    _question = "Who sells how much?"
    staff = ask(
        _question,
        """
        SELECT staff_name, department_name, orders, units
        FROM reports.orders_by_staff ORDER BY orders DESC, staff_id LIMIT 10
        """,
    )
    mo.vstack([mo.md(f"## {_question}"), staff])
    return (staff,)


@app.cell
def _(ask):
    _question = "Which deliveries were moved furthest?"
    slippage = ask(
        _question,
        """
        SELECT sales_order_id, first_agreed, now_agreed, days
        FROM reports.delivery_slippage ORDER BY abs(days) DESC, sales_order_id LIMIT 10
        """,
    )
    mo.vstack([mo.md(f"## {_question}"), slippage])
    return (slippage,)


@app.cell
def _(revenue):
    # Amounts of two currencies are never added up: a total belongs to one.
    totals = {
        code: sum(rows["revenue"], Decimal()) for code, rows in revenue.groupby("currency_code")
    }
    mo.md(f"Of the months above: {', '.join(f'{sum_:,} {code}' for code, sum_ in totals.items())}.")
    return (totals,)


if __name__ == "__main__":
    app.run()
