"""The kinds of column that ToteSys has, for the declarations in `source`."""

from __future__ import annotations

from totesys_dagster.catalogue.model import MONEY_DIGITS, Digits, SourceColumn, Type


def key(name: str, description: str) -> SourceColumn:
    """A primary key."""
    return SourceColumn(name, Type.INTEGER, "integer", description)


def reference(
    name: str,
    table: str,
    description: str,
    *,
    nullable: bool = False,
    formerly: tuple[str, ...] = (),
) -> SourceColumn:
    """The key of a row of another table."""
    return SourceColumn(
        name,
        Type.INTEGER,
        "integer",
        description,
        nullable=nullable,
        references=table,
        formerly=formerly,
    )


def integer(
    name: str,
    description: str,
    *,
    big: bool = False,
    minimum: int | None = None,
    nullable: bool = False,
    pii: bool = False,
    formerly: tuple[str, ...] = (),
) -> SourceColumn:
    """A number of 32 bits, or of 64 where it is `big`."""
    return SourceColumn(
        name,
        Type.BIG_INTEGER if big else Type.INTEGER,
        "bigint" if big else "integer",
        description,
        nullable=nullable,
        pii=pii,
        minimum=minimum,
        formerly=formerly,
    )


def quantity(
    name: str, description: str, *, big: bool = False, formerly: tuple[str, ...] = ()
) -> SourceColumn:
    """How many: at least one."""
    return integer(name, description, big=big, minimum=1, formerly=formerly)


def text(
    name: str,
    description: str,
    *,
    sql_type: str = "text",
    nullable: bool = False,
    pii: bool = False,
    currency: bool = False,
    formerly: tuple[str, ...] = (),
) -> SourceColumn:
    """Any text; with `currency` a code of ISO 4217."""
    return SourceColumn(
        name,
        Type.TEXT,
        sql_type,
        description,
        nullable=nullable,
        pii=pii,
        currency=currency,
        formerly=formerly,
    )


def label(name: str, sql_type: str, description: str, *, nullable: bool = False) -> SourceColumn:
    """A label of an enum."""
    return SourceColumn(name, Type.TEXT, sql_type, description, nullable=nullable)


def boolean(
    name: str, description: str, *, nullable: bool = False, formerly: tuple[str, ...] = ()
) -> SourceColumn:
    """True or false."""
    return SourceColumn(
        name, Type.BOOLEAN, "boolean", description, nullable=nullable, formerly=formerly
    )


def date(
    name: str, description: str, *, nullable: bool = False, formerly: tuple[str, ...] = ()
) -> SourceColumn:
    """A day, which ToteSys keeps as text."""
    return SourceColumn(name, Type.DATE, "text", description, nullable=nullable, formerly=formerly)


def timestamp(
    name: str, description: str, *, nullable: bool = False, formerly: tuple[str, ...] = ()
) -> SourceColumn:
    """A moment to the millisecond, without time zone."""
    return SourceColumn(
        name,
        Type.TIMESTAMP,
        "timestamp(3) without time zone",
        description,
        nullable=nullable,
        formerly=formerly,
    )


def money(
    name: str,
    description: str,
    *,
    minimum: int | None = None,
    digits: Digits = MONEY_DIGITS,
    nullable: bool = False,
    formerly: tuple[str, ...] = (),
) -> SourceColumn:
    """An amount of money, exact, of either sign."""
    return SourceColumn(
        name,
        Type.MONEY,
        f"numeric({digits[0]},{digits[1]})",
        description,
        nullable=nullable,
        minimum=minimum,
        digits=digits,
        formerly=formerly,
    )


def price(
    name: str, description: str, *, digits: Digits = MONEY_DIGITS, formerly: tuple[str, ...] = ()
) -> SourceColumn:
    """An amount of money that is not negative."""
    return money(name, description, minimum=0, digits=digits, formerly=formerly)


CREATED_AT = timestamp("created_at", "When the application created the row.")
LAST_UPDATED = timestamp(
    "last_updated",
    "When the application last declared a change of the row; many edits do not touch it.",
)
