"""The calendar. Its days are made in `processed/calendar.py`, and checked by SQL in
`warehouse/calendar.py`."""

from totesys_dagster.catalogue.model import Kind, StarTable, Type
from totesys_dagster.catalogue.star_columns import of_day

TABLE = StarTable(
    "dim_date",
    Kind.CALENDAR,
    "A gapless calendar that covers every date used by the facts.",
    columns=(
        of_day("date_id", Type.DATE, "The day."),
        of_day("year", Type.INTEGER, "Year, such as 2024."),
        of_day("month", Type.INTEGER, "Month, 1 to 12."),
        of_day("day", Type.INTEGER, "Day of the month, 1 to 31."),
        of_day("day_of_week", Type.INTEGER, "ISO day of the week, Monday 1 to Sunday 7."),
        of_day("day_name", Type.TEXT, "English name of the day, such as Monday."),
        of_day("month_name", Type.TEXT, "English name of the month, such as January."),
        of_day("quarter", Type.INTEGER, "Quarter of the year, 1 to 4."),
    ),
)
