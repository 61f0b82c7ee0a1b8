"""The calendar: every day between two dates, with its attributes.

A pure function of the two dates; `warehouse/calendar.py` does the same in SQL.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pyarrow as pa

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def days_between(first: dt.date, last: dt.date) -> pd.DataFrame:
    """Every day from `first` to `last`, both included. Names are English whatever the locale."""
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    integer, text = pd.ArrowDtype(pa.int32()), pd.ArrowDtype(pa.string())
    return pd.DataFrame(
        {
            "date_id": pd.Series(days, dtype=pd.ArrowDtype(pa.date32())),
            "year": pd.Series([day.year for day in days], dtype=integer),
            "month": pd.Series([day.month for day in days], dtype=integer),
            "day": pd.Series([day.day for day in days], dtype=integer),
            "day_of_week": pd.Series([day.isoweekday() for day in days], dtype=integer),
            "day_name": pd.Series([DAY_NAMES[day.weekday()] for day in days], dtype=text),
            "month_name": pd.Series([MONTH_NAMES[day.month - 1] for day in days], dtype=text),
            "quarter": pd.Series([(day.month - 1) // 3 + 1 for day in days], dtype=integer),
        }
    )
